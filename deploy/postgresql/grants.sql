-- Rights of the role the server logs in as: what was written to the log and the audit trail can be read and added to,
-- and neither changed nor deleted. Run by the owner of the tables, after each `mreg db upgrade`:
--   psql "$OWNER_URL" -v role=mreg_app -f deploy/postgresql/grants.sql
-- The role must exist (CREATE ROLE mreg_app LOGIN …), own nothing here, and be no superuser.

REVOKE ALL ON ALL TABLES IN SCHEMA public FROM :"role";
GRANT USAGE ON SCHEMA public TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO :"role";
REVOKE UPDATE, DELETE ON event, audit, audit_node, audit_checkpoint FROM :"role";
REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM :"role";
