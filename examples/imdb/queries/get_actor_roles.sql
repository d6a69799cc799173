-- What an actor has played, the best known titles first: of the person with most credits among those whose
-- name matches.
-- @title Roles of an actor
-- @param name text {"minLength": 1, "maxLength": 200}: the name, or a part of it
-- @param limit integer = 20 {"minimum": 1, "maximum": 100}: most roles
-- @roles viewer
-- @timeout 2s
WITH actor AS (
  SELECT p.person_id, p.name
  FROM persons p
  WHERE p.name ILIKE '%' || :name || '%'
    AND p.archived_at IS NULL
  ORDER BY (SELECT count(*) FROM principals a WHERE a.person_id = p.person_id) DESC, p.person_id
  LIMIT 1
)
SELECT x.name AS actor, t.primary_title AS title, t.start_year AS year, y.name AS type, c.character
FROM actor x
JOIN principals a USING (person_id)
JOIN principal_characters c USING (title_id, ordering)
JOIN titles t USING (title_id)
JOIN title_types y USING (title_type_id)
LEFT JOIN title_ratings r USING (title_id)
WHERE t.archived_at IS NULL
ORDER BY r.num_votes DESC NULLS LAST, t.title_id, a.ordering, c.position
LIMIT :limit
