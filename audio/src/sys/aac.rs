//! Safe face of `aac.c`.

use std::os::raw::c_int;
use std::ptr::NonNull;

#[repr(C)]
struct HelioAac {
    _opaque: [u8; 0],
}

unsafe extern "C" {
    fn helio_aac_open(config: *const u8, length: usize) -> *mut HelioAac;
    fn helio_aac_close(aac: *mut HelioAac);
    fn helio_aac_push(aac: *mut HelioAac, data: *const u8, length: usize) -> c_int;
    fn helio_aac_take(aac: *mut HelioAac, out: *mut f32, room: c_int) -> c_int;
    fn helio_aac_bend(aac: *mut HelioAac, more: c_int, distance: c_int) -> c_int;
    fn helio_aac_rate(aac: *const HelioAac) -> c_int;
    fn helio_aac_channels(aac: *const HelioAac) -> c_int;
}

/// A decoder with a resampler behind it.
#[derive(Debug)]
pub(crate) struct Aac(NonNull<HelioAac>);

// SAFETY: neither library ties a context to the thread that made it; `&mut self` keeps callers apart.
unsafe impl Send for Aac {}

impl Aac {
    /// `None` when `config` is no AudioSpecificConfig that libavcodec knows.
    pub(crate) fn open(config: &[u8]) -> Option<Self> {
        if config.len() > MAX_INPUT {
            return None;
        }
        // SAFETY: pointer and length are of one slice, of which a copy is made; its length fits an int.
        NonNull::new(unsafe { helio_aac_open(config.as_ptr(), config.len()) }).map(Self)
    }

    /// One raw frame; `false` when it is broken.
    pub(crate) fn push(&mut self, data: &[u8]) -> bool {
        // An empty packet would mean the end of the stream.
        if data.is_empty() || data.len() > MAX_INPUT {
            return false;
        }
        // SAFETY: the context is open; pointer and length are of one slice, of which a copy is made.
        unsafe { helio_aac_push(self.0.as_ptr(), data.as_ptr(), data.len()) >= 0 }
    }

    /// Writes decoded pairs of samples to `out` and says how many samples (both channels counted) those are;
    /// `None` when the stream is broken.
    pub(crate) fn take(&mut self, out: &mut [f32]) -> Option<usize> {
        let room = c_int::try_from(out.len() / 2).unwrap_or(c_int::MAX);
        // SAFETY: the context is open, and `out` has room for `room` pairs of floats.
        let pairs = unsafe { helio_aac_take(self.0.as_ptr(), out.as_mut_ptr(), room) };
        usize::try_from(pairs).ok().map(|pairs| (pairs * 2).min(out.len()))
    }

    /// Stretches the next `distance` samples by `more` samples, or shortens them.
    pub(crate) fn bend(&mut self, more: i32, distance: i32) {
        // SAFETY: the context is open. A refusal leaves the ratio as it is, which the caller's loop sees.
        let _refused = unsafe { helio_aac_bend(self.0.as_ptr(), more, distance) };
    }

    /// Hertz of what was decoded last, 0 before that.
    pub(crate) fn rate(&self) -> u32 {
        // SAFETY: the context is open; reading changes nothing.
        u32::try_from(unsafe { helio_aac_rate(self.0.as_ptr()) }).unwrap_or(0)
    }

    /// Channels of what was decoded last, 0 before that.
    pub(crate) fn channels(&self) -> u32 {
        // SAFETY: as above.
        u32::try_from(unsafe { helio_aac_channels(self.0.as_ptr()) }).unwrap_or(0)
    }
}

impl Drop for Aac {
    fn drop(&mut self) {
        // SAFETY: opened in `open`, closed only here.
        unsafe { helio_aac_close(self.0.as_ptr()) }
    }
}

/// No AAC frame comes near: 6144 bits per channel, 48 channels.
const MAX_INPUT: usize = 64 << 10;
