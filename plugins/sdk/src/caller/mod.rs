//! The host's side of the interface: safe calls into function tables.
//!
//! Making one of these is `unsafe`, because nothing can check that a foreign table keeps the header's rules; using it
//! is safe. Array lengths are asserted here, so a wrong one is a panic of the host and not a write out of bounds.

mod data;
mod env;
mod tasks;

pub use data::Data;
pub use env::Env;
pub use tasks::Tasks;

use crate::abi::{self, Instance};
use std::ffi::{CString, c_char};
use std::fmt;

/// A call that did not return `MAMLX_OK`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Name of the function in its table.
    pub callback: &'static str,
    /// One of the statuses of [`abi`], or whatever the plugin returned instead.
    pub status: i32,
    /// Entry of the batch that failed.
    pub position: Option<usize>,
    /// The plugin's message, without control characters.
    pub message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = if self.message.is_empty() { "no message" } else { &self.message };
        match self.status {
            abi::PANIC => write!(f, "`{}` failed: {message}", self.callback),
            abi::BAD_CALL => write!(f, "`{}` refused the call: {message}", self.callback),
            abi::FAILED | abi::TOO_SMALL => write!(f, "`{}` reported: {message}", self.callback),
            status => write!(f, "`{}` returned the unknown status {status}: {message}", self.callback),
        }
    }
}

impl Failure {
    /// A finding of the host about a call that claimed to succeed.
    pub fn about(callback: &'static str, message: String) -> Self {
        Failure { callback, status: abi::FAILED, position: None, message }
    }
}

/// Longest message that is taken from a plugin, in bytes.
const MESSAGE: usize = 2048;
/// Longest description: a plugin that wants more is wrong.
const MAX_DESCRIPTION: usize = 64 << 20;

/// An instance with the buffer for its messages.
struct Door {
    instance: *mut Instance,
    destroy: Destroy,
    message: Box<[u8]>,
}

type Destroy = unsafe extern "C" fn(*mut Instance, *mut abi::Error) -> i32;

impl Door {
    /// Makes one call and turns its status into a result.
    fn call(
        &mut self,
        callback: &'static str,
        body: impl FnOnce(*mut Instance, *mut abi::Error) -> i32,
    ) -> Result<(), Failure> {
        self.message[0] = 0;
        let mut error = abi::Error {
            struct_size: size_of::<abi::Error>(),
            message: self.message.as_mut_ptr().cast(),
            capacity: self.message.len(),
            position: u32::MAX,
        };
        let status = body(self.instance, &mut error);
        if status == abi::OK {
            return Ok(());
        }
        let length = self.message.iter().position(|&byte| byte == 0).unwrap_or(self.message.len());
        let text = String::from_utf8_lossy(&self.message[..length]);
        let message = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let position = (error.position != u32::MAX).then_some(error.position as usize);
        Err(Failure { callback, status, position, message })
    }

    /// Makes the instance. `body` gets the parameters and where to put the pointer.
    fn create(
        params: &str,
        destroy: Destroy,
        body: impl FnOnce(*const c_char, *mut *mut Instance, *mut abi::Error) -> i32,
    ) -> Result<Self, Failure> {
        let about = |message: &str| Failure::about("create", message.to_owned());
        let params = CString::new(params).map_err(|_| about("the parameters contain a zero byte"))?;
        let message = vec![0; MESSAGE].into_boxed_slice();
        let mut door = Door { instance: std::ptr::null_mut(), destroy, message };
        let mut instance = std::ptr::null_mut();
        door.call("create", |_, error| body(params.as_ptr(), &mut instance, error))?;
        if instance.is_null() {
            return Err(about("it claimed success but gave no instance"));
        }
        door.instance = instance;
        Ok(door)
    }

    fn describe(
        &mut self,
        describe: unsafe extern "C" fn(*mut Instance, *mut c_char, usize, *mut usize, *mut abi::Error) -> i32,
    ) -> Result<String, Failure> {
        let mut buffer = vec![0u8; 1 << 16];
        let mut length = 0;
        let mut ask = |buffer: &mut [u8], length: &mut usize| {
            self.call("describe", |instance, error| {
                // SAFETY: the table keeps the header's rules by the contract of `Env::new` and its like; the buffer has
                // the length that is passed.
                unsafe { describe(instance, buffer.as_mut_ptr().cast(), buffer.len(), length, error) }
            })
        };
        let mut result = ask(&mut buffer, &mut length);
        if result.as_ref().is_err_and(|failure| failure.status == abi::TOO_SMALL) && length < MAX_DESCRIPTION
        {
            buffer = vec![0; length + 1];
            result = ask(&mut buffer, &mut length);
        }
        result?;
        let text = buffer.get(..length).and_then(|bytes| std::str::from_utf8(bytes).ok());
        text.map(str::to_owned)
            .ok_or_else(|| Failure::about("describe", format!("it wrote no UTF-8 text of {length} bytes")))
    }

    /// Destroys the instance, if that has not been done.
    fn end(&mut self) -> Result<(), Failure> {
        if self.instance.is_null() {
            return Ok(());
        }
        let destroy = self.destroy;
        // SAFETY: by the contract of `Env::new` and its like; the pointer is forgotten below, so this is its last use.
        let result = self.call("destroy", |instance, error| unsafe { destroy(instance, error) });
        self.instance = std::ptr::null_mut();
        result
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // Whoever wants to know calls `destroy`.
        let _ = self.end();
    }
}
