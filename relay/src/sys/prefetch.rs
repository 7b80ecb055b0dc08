//! Memory that will be wanted soon.

/// Asks the processor to bring a value into its cache, and goes on without waiting for it. Does nothing where there is no
/// stable way to ask.
#[inline]
pub(crate) fn prefetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let begin: *const T = value;
        let begin = begin.cast::<i8>();
        for line in (0..size_of::<T>()).step_by(CACHE_LINE) {
            // SAFETY: changes no memory, and the address lies inside a value that is borrowed.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(begin.add(line)) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}

#[cfg(target_arch = "x86_64")]
const CACHE_LINE: usize = 64;
