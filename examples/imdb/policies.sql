-- Who sees which titles: those of the types that the session names, and what belongs to them. A session that
-- names none sees nothing.
--
-- Run by the owner of the tables, whom policies do not bind; the server logs in as someone else.

DO $$
BEGIN
  CREATE ROLE imdb_viewer NOLOGIN;
-- Roles belong to the cluster: another database may be making the same one.
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;
GRANT USAGE ON SCHEMA public TO imdb_viewer;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO imdb_viewer;

ALTER TABLE titles ENABLE ROW LEVEL SECURITY;
CREATE POLICY entitled ON titles FOR SELECT TO imdb_viewer
  USING (title_type_id = ANY (nullif(current_setting('rls.types', true), '')::integer[]));

DO $$
DECLARE part regclass;
BEGIN
  -- What belongs to a title is seen with it: the policy of titles holds inside this one.
  FOREACH part IN ARRAY ARRAY['title_genres', 'title_episodes', 'title_akas', 'title_ratings', 'principals',
                              'principal_characters']::regclass[]
  LOOP
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', part);
    EXECUTE format('CREATE POLICY entitled ON %1$s FOR SELECT TO imdb_viewer
                    USING (EXISTS (SELECT FROM titles t WHERE t.title_id = %1$s.title_id))', part);
  END LOOP;
END $$;
