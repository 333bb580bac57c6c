// The same with the SDK 1 for Node.js, whose calls take the callback before the options.
//
// Run, in a folder with koala.jpg and landscape.jpg: node examples/move_from_cloudinary/calls_1.js

const cloudinary = require('cloudinary');

const show = ({ public_id, tags, info, error }) => console.log(JSON.stringify({ public_id, tags, info, error }));
const answered = (start) => new Promise((done) => start(done).catch(() => {})); // the callback has the error, too

async function main() {
  const { uploader, api } = cloudinary;
  const tagged = { categorization: 'imagga_tagging', auto_tagging: 0.4 };
  show(await answered((done) => uploader.upload('koala.jpg', done, { categorization: 'imagga_tagging' })));
  await answered((done) => uploader.upload('landscape.jpg', done, { public_id: 'landscape' }));
  show(await answered((done) => api.update('landscape', done, { categorization: 'imagga_tagging' })));
  show(await answered((done) => uploader.upload('landscape.jpg', done, tagged)));
  show(await answered((done) => api.update('landscape', done, tagged)));
  show(await answered((done) => uploader.explicit('landscape', done, { type: 'upload', ...tagged })));
}

main();
