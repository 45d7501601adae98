/* Prints size, alignment and offsets of every struct of the plugin interface, one fact a line. */
#include "mamlx_plugin.h"

#include <stdalign.h>
#include <stdio.h>

#define STRUCT(type) printf(#type " %zu %zu\n", sizeof(type), alignof(type))
#define MEMBER(type, member) printf(#type "." #member " %zu\n", offsetof(type, member))

int main(void) {
  STRUCT(mamlx_error);
  MEMBER(mamlx_error, struct_size);
  MEMBER(mamlx_error, message);
  MEMBER(mamlx_error, capacity);
  MEMBER(mamlx_error, position);
  STRUCT(mamlx_env);
  MEMBER(mamlx_env, struct_size);
  MEMBER(mamlx_env, create);
  MEMBER(mamlx_env, destroy);
  MEMBER(mamlx_env, describe);
  MEMBER(mamlx_env, sample_task);
  MEMBER(mamlx_env, reset);
  MEMBER(mamlx_env, step);
  STRUCT(mamlx_shape);
  MEMBER(mamlx_shape, x1);
  MEMBER(mamlx_shape, y1);
  MEMBER(mamlx_shape, x2);
  MEMBER(mamlx_shape, y2);
  MEMBER(mamlx_shape, radius);
  MEMBER(mamlx_shape, role);
  STRUCT(mamlx_render);
  MEMBER(mamlx_render, struct_size);
  MEMBER(mamlx_render, describe);
  MEMBER(mamlx_render, shapes);
  STRUCT(mamlx_tasks);
  MEMBER(mamlx_tasks, struct_size);
  MEMBER(mamlx_tasks, create);
  MEMBER(mamlx_tasks, destroy);
  MEMBER(mamlx_tasks, describe);
  MEMBER(mamlx_tasks, sample_task);
  MEMBER(mamlx_tasks, sample);
  STRUCT(mamlx_data);
  MEMBER(mamlx_data, struct_size);
  MEMBER(mamlx_data, create);
  MEMBER(mamlx_data, destroy);
  MEMBER(mamlx_data, describe);
  MEMBER(mamlx_data, read);
  MEMBER(mamlx_data, open);
  STRUCT(mamlx_plugin);
  MEMBER(mamlx_plugin, struct_size);
  MEMBER(mamlx_plugin, abi_major);
  MEMBER(mamlx_plugin, abi_minor);
  MEMBER(mamlx_plugin, descriptor);
  MEMBER(mamlx_plugin, get_feature);
  printf("version %d %d\n", MAMLX_ABI_MAJOR, MAMLX_ABI_MINOR);
  printf("status %d %d %d %d %d\n", MAMLX_OK, MAMLX_FAILED, MAMLX_PANIC, MAMLX_BAD_CALL, MAMLX_TOO_SMALL);
  printf("roles %d %d %d %d\n", MAMLX_ROLE_BODY, MAMLX_ROLE_LIMB, MAMLX_ROLE_GOAL, MAMLX_ROLE_GROUND);
  printf("features %s %s %s %s\n", MAMLX_ENV, MAMLX_RENDER, MAMLX_TASKS, MAMLX_DATA);
  return 0;
}
