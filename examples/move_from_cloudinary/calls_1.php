<?php
// The same with the SDK 1 for PHP.
//
// Run, in a folder with koala.jpg and landscape.jpg: php -d auto_prepend_file=vendor/autoload.php examples/move_from_cloudinary/calls_1.php

function show($answer)
{
    echo json_encode(['public_id' => $answer['public_id'], 'tags' => $answer['tags'] ?? null, 'info' => $answer['info'] ?? null]), "\n";
}

$api = new \Cloudinary\Api();
$tagged = array('categorization' => 'imagga_tagging', 'auto_tagging' => 0.4);
show(\Cloudinary\Uploader::upload('koala.jpg', array('categorization' => 'imagga_tagging')));
\Cloudinary\Uploader::upload('landscape.jpg', array('public_id' => 'landscape'));
show($api->update('landscape', array('categorization' => 'imagga_tagging')));
show(\Cloudinary\Uploader::upload('landscape.jpg', $tagged));
show($api->update('landscape', $tagged));
show(\Cloudinary\Uploader::explicit('landscape', array('type' => 'upload') + $tagged));
