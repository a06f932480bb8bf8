-- Forgets events that are older than so many days, where the role of the server may not (compact_events = false):
--   psql "$OWNER_URL" -v days=7 -f deploy/postgresql/forget-events.sql
-- The newest revision and what webhooks have not seen yet stay. The audit trail is not touched.

DELETE FROM event
WHERE time < EXTRACT(EPOCH FROM now() - make_interval(days => :days)) * 1000000
  AND revision < (SELECT LEAST((SELECT revision FROM log_head), (SELECT MIN(cursor) + 1 FROM webhook)));
