// Five calls of the Cloudinary SDK 2 for Go as they are: only CLOUDINARY_URL names Tagstream.
//
// Run, in a folder with koala.jpg and landscape.jpg: go run examples/move_from_cloudinary/calls.go

package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/cloudinary/cloudinary-go/v2"
	"github.com/cloudinary/cloudinary-go/v2/api/admin"
	"github.com/cloudinary/cloudinary-go/v2/api/uploader"
)

func show(response any, err error) {
	answer, ok := response.(*map[string]any) // all that came back: the typed results have no info
	if err != nil || !ok {
		panic(fmt.Sprint(err, response))
	}
	all := *answer
	line, _ := json.Marshal(map[string]any{"public_id": all["public_id"], "tags": all["tags"], "info": all["info"]})
	fmt.Println(string(line))
}

func main() {
	ctx := context.Background()
	cld, err := cloudinary.New()
	if err != nil {
		panic(err)
	}
	imagga := "imagga_tagging"
	first, err := cld.Upload.Upload(ctx, "koala.jpg", uploader.UploadParams{Categorization: imagga})
	show(first.Response, err)
	cld.Upload.Upload(ctx, "landscape.jpg", uploader.UploadParams{PublicID: "landscape"})
	second, err := cld.Admin.UpdateAsset(ctx, admin.UpdateAssetParams{PublicID: "landscape", Categorization: imagga})
	show(second.Response, err)
	third, err := cld.Upload.Upload(ctx, "landscape.jpg", uploader.UploadParams{Categorization: imagga, AutoTagging: 0.4})
	show(third.Response, err)
	fourth, err := cld.Admin.UpdateAsset(ctx, admin.UpdateAssetParams{PublicID: "landscape", Categorization: imagga, AutoTagging: 0.4})
	show(fourth.Response, err)
	fifth, err := cld.Upload.Explicit(ctx, uploader.ExplicitParams{PublicID: "landscape", Type: "upload", Categorization: imagga, AutoTagging: 0.4})
	show(fifth.Response, err)
}
