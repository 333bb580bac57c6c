-- /users/USER/interests: the tags of a user's images; an image counts half after each 14 days.
SELECT tag, sum(exp2(-greatest(dateDiff('day', uploaded_at, now('UTC')), 0) / 14)) AS weight, count() AS images
FROM image_tags FINAL
WHERE tenant = {tenant:String} AND user_id = {user_id:String}
GROUP BY tag
ORDER BY weight DESC, tag
LIMIT {limit:UInt32}
