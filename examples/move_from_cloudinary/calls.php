<?php
// Five calls of the Cloudinary SDK 2 or 3 for PHP as they are: only CLOUDINARY_URL names Tagstream.
//
// Run, in a folder with koala.jpg and landscape.jpg: php -d auto_prepend_file=vendor/autoload.php examples/move_from_cloudinary/calls.php

use Cloudinary\Api\Admin\AdminApi;
use Cloudinary\Api\Upload\UploadApi;

function show($answer)
{
    echo json_encode(['public_id' => $answer['public_id'], 'tags' => $answer['tags'] ?? null, 'info' => $answer['info'] ?? null]), "\n";
}

$upload = new UploadApi();
$admin = new AdminApi();
$tagged = ['categorization' => 'imagga_tagging', 'auto_tagging' => 0.4];
show($upload->upload('koala.jpg', ['categorization' => 'imagga_tagging']));
$upload->upload('landscape.jpg', ['public_id' => 'landscape']);
show($admin->update('landscape', ['categorization' => 'imagga_tagging']));
show($upload->upload('landscape.jpg', $tagged));
show($admin->update('landscape', $tagged));
show($upload->explicit('landscape', ['type' => 'upload'] + $tagged));
