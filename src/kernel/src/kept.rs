//! What a module keeps in memory across its instances.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// What the instances of modules keep for those that come after them in the same process, such as counts of failures: one value of each
/// type. A restart loses it, so it is for what may be lost. Cheap to clone; clones are one.
#[derive(Clone, Default)]
pub struct Kept(Arc<Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>>);

impl Kept {
    /// The value of the type `T`, which is `T::default()` when it is asked for the first time. Let `T` be a type of the module's own, or
    /// other modules will have the same value.
    pub fn get<T: Any + Send + Sync + Default>(&self) -> Arc<T> {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let value = values
            .entry(TypeId::of::<T>())
            .or_insert_with(|| Arc::<T>::default())
            .clone();
        drop(values);
        // What stands under the id of a type is of that type.
        value.downcast().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

    use super::*;

    #[test]
    fn a_value_stays_for_whoever_asks_next_in_the_same_process() {
        let (here, there) = (Kept::default(), Kept::default());
        here.get::<AtomicU32>().store(7, Ordering::Relaxed);
        let later = here.clone().get::<AtomicU32>();
        assert_eq!(later.load(Ordering::Relaxed), 7);
        assert_eq!(here.get::<AtomicU64>().load(Ordering::Relaxed), 0);
        assert_eq!(there.get::<AtomicU32>().load(Ordering::Relaxed), 0);
    }
}
