-- /images/PUBLIC_ID: what is known of an image's tags.
SELECT tag, source, round(confidence, 4) AS confidence, model, user_id, uploaded_at
FROM image_tags FINAL
WHERE tenant = {tenant:String} AND public_id = {public_id:String}
ORDER BY confidence DESC, tag
