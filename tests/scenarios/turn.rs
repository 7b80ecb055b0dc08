//! Which scenarios may run at once: those that measure time or use both processors have the machine for themselves,
//! after all others. Most scenarios wait for something nearly all the time.
//!
//! The test harness starts as many as it has threads, in its own order. With threads enough (`RUST_TEST_THREADS`)
//! those that have to be alone gather and the others go on; with few, the order is worse and the result the same.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// More at once, and they would wait for each other's processes.
const TOGETHER: usize = 6;

struct State {
    /// Wait for their turn and don't mind company.
    waiting: usize,
    /// Have company.
    together: usize,
    /// One has the machine for itself.
    alone: bool,
}

static STATE: Mutex<State> = Mutex::new(State { waiting: 0, together: 0, alone: false });
static CHANGED: Notify = Notify::const_new();

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// It is this scenario's turn until this is dropped.
pub(crate) struct Turn {
    alone: bool,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = state();
        if self.alone {
            state.alone = false;
        } else {
            state.together -= 1;
        }
        drop(state);
        CHANGED.notify_waiters();
    }
}

/// For scenarios that others may disturb.
pub(crate) async fn shared() -> Turn {
    state().waiting += 1;
    until(|state| {
        let free = !state.alone && state.together < TOGETHER;
        if free {
            state.waiting -= 1;
            state.together += 1;
        }
        free
    })
    .await;
    Turn { alone: false }
}

/// For scenarios that measure, or that would disturb others.
pub(crate) async fn alone() -> Turn {
    until(|state| {
        let free = !state.alone && state.together == 0 && state.waiting == 0;
        state.alone |= free;
        free
    })
    .await;
    Turn { alone: true }
}

async fn until(mut its_turn: impl FnMut(&mut State) -> bool) {
    loop {
        let mut changed = std::pin::pin!(CHANGED.notified());
        // Before the look, so that no change is missed between it and the wait.
        changed.as_mut().enable();
        if its_turn(&mut state()) {
            return;
        }
        changed.await;
    }
}
