// Whether the SDK takes notifications for genuine: verify.js ALGORITHM SECRET FILE, a JSON list of [body, timestamp, signature].
const cloudinary = require('cloudinary').v2;
const { readFileSync } = require('fs');

const [algorithm, secret, file] = process.argv.slice(2);
cloudinary.config({ cloud_name: 'demo', api_key: 'key', api_secret: secret, signature_algorithm: algorithm });
const told = JSON.parse(readFileSync(file)).map((each) => cloudinary.utils.verifyNotificationSignature(...each));
console.log(JSON.stringify(told));
