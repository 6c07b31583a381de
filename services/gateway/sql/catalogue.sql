-- What a session may be started with.

-- name: feed_in_force
-- A broker's name, "generated" or "history", and the day that its market is at: the first one of a recorded feed.
SELECT CASE WHEN spec ->> 'feed' = 'live' THEN spec ->> 'broker' ELSE spec ->> 'feed' END AS feed,
       coalesce(spec ->> 'day', spec ->> 'from')::date AS day
FROM feeds WHERE shard = 0;
