//! The lists that were made. Each is kept for as long as its view: making one takes longer than most calls, and every
//! client asks for it, as does every subscriber after a change.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use mcp_pg_core::policy::View;

use super::List;

/// The list of a view, once it is made.
type Place = Arc<OnceLock<Arc<List>>>;

/// Lists by view.
pub(super) struct Kept(Mutex<Vec<(Weak<View>, Place)>>);

impl Kept {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// The view's list. The first to ask makes it; others wait for that.
    pub(super) fn of(&self, view: &Arc<View>, make: impl FnOnce() -> List) -> Arc<List> {
        let place = self.place(view);
        Arc::clone(place.get_or_init(|| Arc::new(make())))
    }

    fn place(&self, view: &Arc<View>) -> Place {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = places.iter().find(|(of, _)| Weak::as_ptr(of) == Arc::as_ptr(view));
        if let Some((_, place)) = known {
            return Arc::clone(place);
        }
        places.retain(|(of, _)| of.strong_count() > 0);
        let place = Place::default();
        places.push((Arc::downgrade(view), Arc::clone(&place)));
        place
    }
}

#[cfg(test)]
mod tests {
    use mcp_pg_core::Settings;
    use mcp_pg_core::policy::Role;
    use mcp_pg_core::schema::Schema;

    use super::*;

    fn view() -> Arc<View> {
        Arc::new(View::new(&Schema::default(), &Role::default(), &Settings::default()))
    }

    #[test]
    fn a_list_is_made_once_for_a_view_and_kept_no_longer_than_it() {
        let kept = Kept::new();
        let (one, other) = (view(), view());
        let made = kept.of(&one, || List::of(Vec::new()));
        let again = kept.of(&one, || unreachable!("it is made"));
        assert!(Arc::ptr_eq(&made, &again));
        assert!(!Arc::ptr_eq(&made, &kept.of(&other, || List::of(Vec::new()))));
        drop((one, again));
        kept.of(&view(), || List::of(Vec::new()));
        assert_eq!(Arc::strong_count(&made), 1);
        assert_eq!(kept.0.lock().unwrap().len(), 2);
    }
}
