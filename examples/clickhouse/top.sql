-- /trends/top: the most used tags of a stretch of time. window: minute, hour, day; or all, whose start is 1970-01-01.
SELECT tag, sum(count) AS images
FROM tag_counts FINAL
WHERE tenant = {tenant:String} AND add_on = '*' AND window = {window:String}
    AND start >= parseDateTimeBestEffort({since:String}) AND start < parseDateTimeBestEffort({until:String})
GROUP BY tag
ORDER BY images DESC, tag
LIMIT {limit:UInt32}
