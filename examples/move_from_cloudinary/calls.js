// Five calls of the Cloudinary SDK 2 for Node.js as they are: only CLOUDINARY_URL names Tagstream.
//
// Run, in a folder with koala.jpg and landscape.jpg: node examples/move_from_cloudinary/calls.js

const cloudinary = require('cloudinary').v2;

const show = ({ public_id, tags, info }) => console.log(JSON.stringify({ public_id, tags, info }));

async function main() {
  show(await cloudinary.uploader.upload('koala.jpg', { categorization: 'imagga_tagging' }));
  await cloudinary.uploader.upload('landscape.jpg', { public_id: 'landscape' });
  show(await cloudinary.api.update('landscape', { categorization: 'imagga_tagging' }));
  show(await cloudinary.uploader.upload('landscape.jpg', { categorization: 'imagga_tagging', auto_tagging: 0.4 }));
  show(await cloudinary.api.update('landscape', { categorization: 'imagga_tagging', auto_tagging: 0.4 }));
  show(
    await cloudinary.uploader.explicit('landscape', {
      type: 'upload',
      categorization: 'imagga_tagging',
      auto_tagging: 0.4,
    }),
  );
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
