# Five calls of the Cloudinary SDK for Ruby, 1 or 2, as they are: only CLOUDINARY_URL names Tagstream.
#
# Run, in a folder with koala.jpg and landscape.jpg: ruby examples/move_from_cloudinary/calls.rb

require 'cloudinary'
require 'json'

def show(answer)
  puts JSON.generate(%w[public_id tags info].to_h { |name| [name, answer[name]] })
end

tagged = { categorization: 'imagga_tagging', auto_tagging: 0.4 }
show Cloudinary::Uploader.upload('koala.jpg', categorization: 'imagga_tagging')
Cloudinary::Uploader.upload('landscape.jpg', public_id: 'landscape')
show Cloudinary::Api.update('landscape', categorization: 'imagga_tagging')
show Cloudinary::Uploader.upload('landscape.jpg', tagged)
show Cloudinary::Api.update('landscape', tagged)
show Cloudinary::Uploader.explicit('landscape', tagged.merge(type: 'upload'))
