-- The foreign keys of the movie database, and indexes for them and for searching.

ALTER TABLE titles
  ADD CONSTRAINT titles_title_type_id_fkey FOREIGN KEY (title_type_id) REFERENCES title_types;
ALTER TABLE title_genres
  ADD CONSTRAINT title_genres_title_id_fkey FOREIGN KEY (title_id) REFERENCES titles ON DELETE CASCADE,
  ADD CONSTRAINT title_genres_genre_id_fkey FOREIGN KEY (genre_id) REFERENCES genres;
ALTER TABLE title_episodes
  ADD CONSTRAINT title_episodes_title_id_fkey FOREIGN KEY (title_id) REFERENCES titles ON DELETE CASCADE,
  ADD CONSTRAINT title_episodes_parent_title_id_fkey FOREIGN KEY (parent_title_id) REFERENCES titles ON DELETE CASCADE;
ALTER TABLE title_akas
  ADD CONSTRAINT title_akas_title_id_fkey FOREIGN KEY (title_id) REFERENCES titles ON DELETE CASCADE;
ALTER TABLE title_ratings
  ADD CONSTRAINT title_ratings_title_id_fkey FOREIGN KEY (title_id) REFERENCES titles ON DELETE CASCADE;
ALTER TABLE principals
  ADD CONSTRAINT principals_title_id_fkey FOREIGN KEY (title_id) REFERENCES titles ON DELETE CASCADE,
  ADD CONSTRAINT principals_person_id_fkey FOREIGN KEY (person_id) REFERENCES persons;
ALTER TABLE principal_characters
  ADD CONSTRAINT principal_characters_principal_fkey
    FOREIGN KEY (title_id, ordering) REFERENCES principals ON DELETE CASCADE;

CREATE INDEX titles_search_idx ON titles USING gin (search);
CREATE INDEX titles_title_type_id_start_year_idx ON titles (title_type_id, start_year);
CREATE INDEX titles_primary_title_idx ON titles (primary_title);
CREATE INDEX title_genres_genre_id_idx ON title_genres (genre_id);
CREATE INDEX title_episodes_parent_title_id_idx ON title_episodes (parent_title_id, season_number, episode_number);
CREATE INDEX title_ratings_average_rating_idx ON title_ratings (average_rating DESC, num_votes DESC);
CREATE INDEX persons_name_idx ON persons (name);
CREATE INDEX principals_person_id_idx ON principals (person_id);

-- Numbers for new rows go on after those that are there.
SELECT setval(pg_get_serial_sequence('titles', 'title_id'), (SELECT coalesce(max(title_id), 1) FROM titles));
SELECT setval(pg_get_serial_sequence('persons', 'person_id'), (SELECT coalesce(max(person_id), 1) FROM persons));
SELECT setval(pg_get_serial_sequence('genres', 'genre_id'), (SELECT coalesce(max(genre_id), 1) FROM genres));
