//! From the traits to the C interface.

mod data;
mod door;
mod env;
mod render;
mod tasks;

pub use data::table as data_table;
pub use env::table as env_table;
pub use render::table as render_table;
pub use tasks::table as tasks_table;

/// The tables as constants, for the harness.
pub(crate) struct Exported<T>(std::marker::PhantomData<T>);

impl<T: crate::Environment> Exported<T> {
    pub(crate) const ENV: &'static crate::abi::Env = &env_table::<T>();
}

impl<T: crate::Render> Exported<T> {
    pub(crate) const RENDER: &'static crate::abi::Render = &render_table::<T>();
}

impl<T: crate::TaskDistribution> Exported<T> {
    pub(crate) const TASKS: &'static crate::abi::Tasks = &tasks_table::<T>();
}

impl<T: crate::Dataset> Exported<T> {
    pub(crate) const DATA: &'static crate::abi::Data = &data_table::<T>();
}

/// Makes the library an environment plugin: `export_env!(MyEnvironment);`, once, or `export_env!(MyEnvironment,
/// render);` for one that can be drawn.
#[macro_export]
macro_rules! export_env {
    ($type:ty) => {
        $crate::__export!($type, $crate::Environment, "env", $crate::abi::ENV, $crate::abi::Env, env_table);
    };
    ($type:ty, render) => {
        $crate::__export!(
            $type,
            $crate::Environment,
            "env",
            $crate::abi::ENV,
            $crate::abi::Env,
            env_table,
            $crate::abi::RENDER,
            $crate::abi::Render,
            render_table
        );
    };
}

/// Makes the library a task-distribution plugin: `export_tasks!(MyDistribution);`, once.
#[macro_export]
macro_rules! export_tasks {
    ($type:ty) => {
        $crate::__export!(
            $type,
            $crate::TaskDistribution,
            "tasks",
            $crate::abi::TASKS,
            $crate::abi::Tasks,
            tasks_table
        );
    };
}

/// Makes the library a dataset plugin: `export_data!(MyDataset);`, once.
#[macro_export]
macro_rules! export_data {
    ($type:ty) => {
        $crate::__export!($type, $crate::Dataset, "data", $crate::abi::DATA, $crate::abi::Data, data_table);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($type:ty, $trait:path, $kind:literal, $($feature:expr, $table:ty, $make:ident),+) => {
        const _: () = {
            const DESCRIPTOR: $crate::Descriptor = <$type as $trait>::DESCRIPTOR;
            const LENGTH: usize = $crate::json_length(&DESCRIPTOR, $kind) + 1;

            #[used]
            #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mamlx"))]
            #[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".mamlx"))]
            static RECORD: [u8; LENGTH] = $crate::json_bytes(&DESCRIPTOR, $kind);

            unsafe extern "C" fn get_feature(id: *const ::std::ffi::c_char) -> *const ::std::ffi::c_void {
                if id.is_null() {
                    return ::std::ptr::null();
                }
                // SAFETY: the header promises a text that ends with a zero byte.
                let id = unsafe { ::std::ffi::CStr::from_ptr(id) };
                $(
                    if id.to_bytes() == $feature.as_bytes() {
                        static TABLE: $table = $crate::export::$make::<$type>();
                        return ::std::ptr::from_ref(&TABLE).cast();
                    }
                )+
                ::std::ptr::null()
            }

            // SAFETY: no other item of the library has this name; exporting two plugins from one library is an error
            // of the linker.
            #[unsafe(no_mangle)]
            #[allow(non_upper_case_globals)]
            pub static mamlx_plugin_v1: $crate::abi::Plugin = $crate::abi::Plugin {
                struct_size: ::std::mem::size_of::<$crate::abi::Plugin>(),
                abi_major: $crate::abi::MAJOR,
                abi_minor: $crate::abi::MINOR,
                descriptor: RECORD.as_ptr().cast(),
                get_feature: Some(get_feature),
            };
        };
    };
}
