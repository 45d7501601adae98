/*
 * The mamlx plugin interface, version 1.1.
 *
 * A plugin is a dynamic library, lib<name>.so, lib<name>.dylib or <name>.dll, with
 *   - one exported symbol, mamlx_plugin_v1, of type mamlx_plugin, and
 *   - its descriptor, a JSON text, in a section of its own, so that a host can read it without running any code.
 * examples/c/swing.c is a complete plugin in C.
 *
 * Rules for every function below:
 *   - The host calls it, from any thread, but never two calls at a time with the same instance. Calls with different
 *     instances may run at the same time, so there is no unguarded global state.
 *   - Every pointer is owned by the caller, is valid during the call only and is never null, `instance` apart: that
 *     one is made by `create`, owned by the plugin, and valid until `destroy`.
 *   - Texts are UTF-8 and end with a zero byte. Vectors are packed 32-bit floats, the last index fastest.
 *   - Every output is written in full before MAMLX_OK is returned. After another status no output is read.
 *   - It does not unwind, longjmp or exit, reads no clock and keeps no random state: randomness comes from the seeds.
 *   - The same seeds, tasks and actions give the same bits, whatever other slots and instances do.
 */
#ifndef MAMLX_PLUGIN_H
#define MAMLX_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A host refuses a plugin of another major version, or of a newer minor one. Minor versions only append members. */
#define MAMLX_ABI_MAJOR 1
#define MAMLX_ABI_MINOR 1

/* What a function returns. */
#define MAMLX_OK 0
#define MAMLX_FAILED 1    /* The plugin cannot do it; the message says why. */
#define MAMLX_PANIC 2     /* A bug in the plugin; the message says where. The instance may only be destroyed. */
#define MAMLX_BAD_CALL 3  /* The host broke a rule, such as a step without a reset. */
#define MAMLX_TOO_SMALL 4 /* The buffer is too small; the needed length has been written. */

/*
 * Where a function puts its reason when it does not return MAMLX_OK. The caller owns the struct and the buffer.
 * The plugin writes at most `capacity` bytes, the final zero byte included, and may cut the text to make it fit.
 */
typedef struct mamlx_error {
  size_t struct_size; /* sizeof(mamlx_error), set by the caller */
  char *message;      /* an empty text when the call begins */
  size_t capacity;    /* bytes behind `message`, at least 256 */
  uint32_t position;  /* which entry of a batch failed, counted from 0; UINT32_MAX: none in particular */
} mamlx_error;

/* An instance, as large as the plugin likes. */
typedef struct mamlx_instance mamlx_instance;

/*
 * mamlx.env/1: environments.
 *
 * An instance holds `n_slots` independent environments, its slots. A call names the slots it is about: `slots` has
 * `count` distinct entries below `n_slots`, and row i of every other array is about slots[i]. A host leaves out the
 * slots whose episode is over. The time limit of an episode is the host's: a plugin does not end an episode for time.
 * D_obs, D_act and D_task are the numbers of fields that `describe` lists.
 */
#define MAMLX_ENV "mamlx.env/1"

typedef struct mamlx_env {
  size_t struct_size; /* sizeof(mamlx_env) of the header that the plugin was built with; so in every struct below */

  /* Makes an instance. `params` is a JSON object with a value for every declared parameter. Called first, once for
   * each instance. On MAMLX_OK the plugin has put the instance at `out`, and the host will call `destroy` on it. */
  int32_t (*create)(const char *params, uint32_t n_slots, mamlx_instance **out, mamlx_error *error);

  /* Ends an instance, whose pointer is invalid afterwards whatever the status. Called last, and only once. */
  int32_t (*destroy)(mamlx_instance *instance, mamlx_error *error);

  /* Writes a JSON object {"observation": [field...], "action": [field...], "task": [field...]} to `out`, where a
   * field is {"name": text, "unit": text, "low": number or null, "high": number or null} and actions have both bounds.
   * `length` receives the text's bytes without the zero byte; when they and the zero byte exceed `capacity`, nothing
   * is put at `out` and MAMLX_TOO_SMALL is returned. The text is the same for the instance's whole life.
   * Off the hot path: may allocate. */
  int32_t (*describe)(mamlx_instance *instance, char *out, size_t capacity, size_t *length, mamlx_error *error);

  /* Draws a task as a function of `seed` alone. task: [D_task]. Changes nothing in the instance. */
  int32_t (*sample_task)(mamlx_instance *instance, uint64_t seed, float *task, mamlx_error *error);

  /* Begins an episode in each slot: rebuilds its world, so that nothing of the last episode is left, and takes all
   * randomness of the whole episode from its seed. seeds: [count]; tasks: [count, D_task]; obs: [count, D_obs]. */
  int32_t (*reset)(mamlx_instance *instance, const uint32_t *slots, uint32_t count, const uint64_t *seeds,
                   const float *tasks, float *obs, mamlx_error *error);

  /* Moves each slot one step. Called after `reset` of the same slots and, for a slot that has terminated, not before
   * the next. actions: [count, D_act], finite, scaled to the bounds and clipped there by the host; obs:
   * [count, D_obs]; rewards: [count]; terminated: [count], 1 when what happened ended the episode, else 0.
   * The hot path: does not allocate. */
  int32_t (*step)(mamlx_instance *instance, const uint32_t *slots, uint32_t count, const float *actions, float *obs,
                  float *rewards, uint8_t *terminated, mamlx_error *error);
} mamlx_env;

/*
 * mamlx.render/1: drawing, optional for a plugin that has mamlx.env/1, whose instances it takes. The plugin names
 * shapes in a plane, the host draws them. Nothing here changes an instance's episodes.
 */
#define MAMLX_RENDER "mamlx.render/1"

/* What a shape stands for. */
#define MAMLX_ROLE_BODY 0   /* part of what moves; a trail is drawn of the middle of the first one */
#define MAMLX_ROLE_LIMB 1   /* the same, farther away or less important */
#define MAMLX_ROLE_GOAL 2   /* where to go, or which way */
#define MAMLX_ROLE_GROUND 3 /* what does not move */

/* A segment with round ends in metres: a line when the radius is 0, a circle when the ends coincide. */
typedef struct mamlx_shape {
  float x1, y1, x2, y2;
  float radius;
  uint32_t role;
} mamlx_shape;

typedef struct mamlx_render {
  size_t struct_size;

  /* As in mamlx_env; the object is {"view": "side" | "top", "step_secs": number}. In a side view the second coordinate
   * is the height above a floor at 0 and the host's window follows the first; a top view shows the whole episode. */
  int32_t (*describe)(mamlx_instance *instance, char *out, size_t capacity, size_t *length, mamlx_error *error);

  /* Writes the shapes of a slot's present state, those behind first. Called after `reset` of the slot, also when its
   * episode is over. `count` receives their number; when it exceeds `capacity`, MAMLX_TOO_SMALL is returned.
   * Off the hot path: may allocate. */
  int32_t (*shapes)(mamlx_instance *instance, uint32_t slot, mamlx_shape *out, size_t capacity, size_t *count,
                    mamlx_error *error);
} mamlx_render;

/*
 * mamlx.tasks/1: distributions over supervised tasks that are drawn rather than stored.
 * D_x, D_y and D_task are the numbers of fields that `describe` lists.
 */
#define MAMLX_TASKS "mamlx.tasks/1"

typedef struct mamlx_tasks {
  size_t struct_size;

  /* As in mamlx_env, without slots. */
  int32_t (*create)(const char *params, mamlx_instance **out, mamlx_error *error);

  /* As in mamlx_env. */
  int32_t (*destroy)(mamlx_instance *instance, mamlx_error *error);

  /* As in mamlx_env; the object is {"x": [field...], "y": [field...], "task": [field...]}. */
  int32_t (*describe)(mamlx_instance *instance, char *out, size_t capacity, size_t *length, mamlx_error *error);

  /* As in mamlx_env. */
  int32_t (*sample_task)(mamlx_instance *instance, uint64_t seed, float *task, mamlx_error *error);

  /* Draws `n` points of a task as a function of `seed`. task: [D_task]; x: [n, D_x]; y: [n, D_y]. Changes nothing in
   * the instance. The hot path: does not allocate. */
  int32_t (*sample)(mamlx_instance *instance, const float *task, uint64_t seed, uint32_t n, float *x, float *y,
                    mamlx_error *error);
} mamlx_tasks;

/* mamlx.data/1: datasets, classes of stored items. The host draws ways, shots and queries from them. */
#define MAMLX_DATA "mamlx.data/1"

typedef struct mamlx_data {
  size_t struct_size;

  /* As in mamlx_tasks. When files are missing, the message says which, where, and how to get them. */
  int32_t (*create)(const char *params, mamlx_instance **out, mamlx_error *error);

  /* As in mamlx_env. */
  int32_t (*destroy)(mamlx_instance *instance, mamlx_error *error);

  /* As in mamlx_env; the object is {"item_shape": [int...], "splits": [{"name": text, "classes": [{"name": text,
   * "items": int}...]}...]}. No class is in two splits. */
  int32_t (*describe)(mamlx_instance *instance, char *out, size_t capacity, size_t *length, mamlx_error *error);

  /* Reads items of one class, by their indices in `describe`. items: [count]; out: [count, item_shape]. */
  int32_t (*read)(mamlx_instance *instance, uint32_t split, uint32_t class_, const uint32_t *items, uint32_t count,
                  float *out, mamlx_error *error);

  /* Since 1.1, and null where it is not needed: called instead of `create`, with `places`, a JSON object
   * {"folders": [text...], "cache": text or null}: the folders to look for files in, in order, and a folder of the
   * plugin's own making for what it derives from them; null: derive it again each time. */
  int32_t (*open)(const char *params, const char *places, mamlx_instance **out, mamlx_error *error);
} mamlx_data;

/* What the exported symbol mamlx_plugin_v1 holds. Constant data: reading it runs no code of the plugin. */
typedef struct mamlx_plugin {
  size_t struct_size;
  uint32_t abi_major; /* MAMLX_ABI_MAJOR */
  uint32_t abi_minor; /* MAMLX_ABI_MINOR */

  /* The text in the descriptor section: a JSON object
   *   {"id": text, "version": text, "dynamics_version": int, "abi_major": int, "abi_minor": int,
   *    "kind": "env" | "tasks" | "data", "doc": text, "parameters": [parameter...]}
   * where `id` is the library's name and a parameter is
   *   {"name": text, "type": "bool" | "int" | "float" | "text", "default": value, "min": number or null,
   *    "max": number or null, "choices": [text...], "unit": text, "doc": text}.
   * dynamics_version is raised whenever the same seeds, tasks and actions may give other numbers. */
  const char *descriptor;

  /* Finds a feature: MAMLX_ENV gives a const mamlx_env *, and so on; null when the plugin does not have it. The
   * pointer is valid as long as the library is loaded. Called from any thread, before `create`. */
  const void *(*get_feature)(const char *id);
} mamlx_plugin;

#if defined(_WIN32)
#define MAMLX_EXPORT __declspec(dllexport)
#else
#define MAMLX_EXPORT __attribute__((visibility("default")))
#endif

/* MAMLX_DESCRIPTOR static const char text[] = "{...}"; puts the text where the host looks for it. */
#if defined(__APPLE__)
#define MAMLX_DESCRIPTOR __attribute__((section("__DATA,__mamlx"), used))
#elif defined(_MSC_VER)
#pragma section(".mamlx", read)
#define MAMLX_DESCRIPTOR __declspec(allocate(".mamlx"))
#else
#define MAMLX_DESCRIPTOR __attribute__((section(".mamlx"), used))
#endif

/* The one symbol that a plugin defines. */
extern MAMLX_EXPORT const mamlx_plugin mamlx_plugin_v1;

#ifdef __cplusplus
}
#endif
#endif /* MAMLX_PLUGIN_H */
