//! The shapes of values that are not particular to plans.

use std::sync::Arc;

use super::{Shape, Shaped};

impl<T: Shaped + ?Sized> Shaped for &T {
    fn add_to<'p>(&'p self, shape: &mut Shape<'p>) {
        (**self).add_to(shape);
    }
}

impl<T: Shaped + ?Sized> Shaped for Box<T> {
    fn add_to<'p>(&'p self, shape: &mut Shape<'p>) {
        (**self).add_to(shape);
    }
}

impl<T: Shaped + ?Sized> Shaped for Arc<T> {
    fn add_to<'p>(&'p self, shape: &mut Shape<'p>) {
        (**self).add_to(shape);
    }
}

impl<T: Shaped> Shaped for Option<T> {
    fn add_to<'p>(&'p self, shape: &mut Shape<'p>) {
        shape.tag(self.is_some().into());
        self.iter().for_each(|part| part.add_to(shape));
    }
}

impl<T: Shaped> Shaped for Vec<T> {
    fn add_to<'p>(&'p self, shape: &mut Shape<'p>) {
        shape.number(self.len() as u64);
        self.iter().for_each(|part| part.add_to(shape));
    }
}

impl<T: Shaped, const N: usize> Shaped for [T; N] {
    fn add_to<'p>(&'p self, shape: &mut Shape<'p>) {
        self.iter().for_each(|part| part.add_to(shape));
    }
}

impl<A: Shaped, B: Shaped> Shaped for (A, B) {
    fn add_to<'p>(&'p self, shape: &mut Shape<'p>) {
        self.0.add_to(shape);
        self.1.add_to(shape);
    }
}

impl Shaped for str {
    fn add_to<'p>(&'p self, shape: &mut Shape<'p>) {
        shape.number(self.len() as u64);
        shape.key.extend_from_slice(self.as_bytes());
    }
}

impl Shaped for String {
    fn add_to<'p>(&'p self, shape: &mut Shape<'p>) {
        self.as_str().add_to(shape);
    }
}

impl Shaped for i32 {
    fn add_to<'p>(&'p self, shape: &mut Shape<'p>) {
        shape.key.extend_from_slice(&self.to_le_bytes());
    }
}

impl Shaped for usize {
    fn add_to<'p>(&'p self, shape: &mut Shape<'p>) {
        shape.number(*self as u64);
    }
}

macro_rules! numbers {
    ($($name:ty),+) => {$(
        impl Shaped for $name {
            fn add_to<'p>(&'p self, shape: &mut Shape<'p>) {
                shape.number((*self).into());
            }
        }
    )+};
}

numbers! { bool, u16, u32, u64 }
