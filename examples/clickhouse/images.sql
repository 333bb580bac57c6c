-- /images?all=A,B: the images that have all of these tags, newest first; total: how many there are, those beyond the limit too.
SELECT public_id, any(uploaded_at) AS uploaded_at, any(user_id) AS user_id, min(confidence) AS confidence, count() OVER () AS total
FROM image_tags FINAL
WHERE tenant = {tenant:String} AND tag IN {tags:Array(String)}
GROUP BY public_id
HAVING count() = length({tags:Array(String)})
ORDER BY uploaded_at DESC, public_id
LIMIT {limit:UInt32}
