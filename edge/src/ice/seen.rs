//! Transaction ids seen lately.
