-- The characters of a film or series, and who played them: of the title that most people voted on among
-- those that match.
-- @title Characters of a film
-- @param title text {"minLength": 1, "maxLength": 200}: words of the title, in any order
-- @roles viewer
-- @timeout 2s
WITH movie AS (
  SELECT t.title_id, t.primary_title, t.start_year
  FROM titles t
  LEFT JOIN title_ratings r USING (title_id)
  WHERE t.search @@ websearch_to_tsquery('english', :title)
    AND t.archived_at IS NULL
  ORDER BY r.num_votes DESC NULLS LAST, t.title_id
  LIMIT 1
)
SELECT m.primary_title AS title, m.start_year AS year, c.character, p.name AS actor
FROM movie m
JOIN principals a USING (title_id)
JOIN principal_characters c USING (title_id, ordering)
JOIN persons p USING (person_id)
ORDER BY a.ordering, c.position
