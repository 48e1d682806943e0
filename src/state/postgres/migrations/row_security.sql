-- Run after each migration: every table that has a state's rows shows a role only the states that it may see. The owner of the tables, which
-- is whoever runs Syncline, is not held to it.
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN
        SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE c.relnamespace = 'syncline'::regnamespace AND c.relkind = 'r' AND NOT a.attisdropped
            AND a.attname = CASE c.relname WHEN 'states' THEN 'id' ELSE 'state_id' END
            AND NOT EXISTS (SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'of_states')
    LOOP
        EXECUTE format('ALTER TABLE syncline.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY of_states ON syncline.%I USING (%I = ANY (ARRAY(SELECT syncline.seen_by(current_user))))',
            name, CASE name WHEN 'states' THEN 'id' ELSE 'state_id' END);
    END LOOP;
END
$$;
