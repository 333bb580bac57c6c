-- /trends/tags/TAG: how often a tag was assigned in each minute, hour or day.
SELECT start, sum(count) AS images
FROM tag_counts FINAL
WHERE tenant = {tenant:String} AND add_on = '*' AND window = {window:String} AND tag = {tag:String}
    AND start >= parseDateTimeBestEffort({since:String}) AND start < parseDateTimeBestEffort({until:String})
GROUP BY start
ORDER BY start
