//! Asking for a passphrase on the controlling terminal.

use zeroize::Zeroizing;

use super::{KeyError, Passphrase};

/// Asks on the controlling terminal (`/dev/tty`), without an echo. Standard input is never read, so
/// that nothing piped in can unlock a key.
///
/// # Errors
///
/// [`KeyError::Terminal`] when there is none, or it was closed.
pub fn ask_on_terminal(prompt: &str) -> Result<Passphrase, KeyError> {
    rpassword::prompt_password(prompt)
        .map(Zeroizing::new)
        .map_err(|source| KeyError::Terminal { source })
}
