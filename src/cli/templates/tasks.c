/* Straight lines y = slope * x + offset; every task has its own. Make it your own family of functions. */
#include "mamlx_plugin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID_LINE "{\"id\": \"NAME\", \"version\": \"0.1.0\", \"dynamics_version\": 1, "
#define ABI_LINE "\"abi_major\": 1, \"abi_minor\": 0, \"kind\": \"tasks\", "
#define DOC_LINE "\"doc\": \"Regression of straight lines; slope and offset vary between tasks.\", "
#define PARAMETER \
  "\"parameters\": [{\"name\": \"steepest\", \"type\": \"float\", \"default\": 2.0, \"min\": 0.1, \"max\": 100, " \
  "\"choices\": [], \"unit\": \"\", \"doc\": \"Largest slope, either way.\"}]}"

MAMLX_DESCRIPTOR static const char descriptor[] = ID_LINE ABI_LINE DOC_LINE PARAMETER;

struct mamlx_instance {
  float steepest;
};

/* Tells the host why. */
static int32_t fail(mamlx_error *error, int32_t status, const char *why) {
  error->position = UINT32_MAX;
  snprintf(error->message, error->capacity, "%s", why);
  return status;
}

/* The k-th number of a seed in [low, high): SplitMix64 (Steele, Lea and Flood 2014). */
static float uniform(uint64_t seed, uint64_t k, float low, float high) {
  uint64_t z = seed + (k + 1) * 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  z = z ^ (z >> 31);
  return low + (float)(z >> 40) / 16777216.0f * (high - low);
}

static int32_t create(const char *params, mamlx_instance **out, mamlx_error *error) {
  /* The host sends every parameter and nothing else, so one number needs no JSON library. */
  const char *at = strstr(params, "\"steepest\":");
  if (at == NULL) return fail(error, MAMLX_FAILED, "the parameters lack steepest");
  mamlx_instance *made = calloc(1, sizeof *made);
  if (made == NULL) return fail(error, MAMLX_FAILED, "out of memory");
  made->steepest = (float)atof(at + strlen("\"steepest\":"));
  *out = made;
  return MAMLX_OK;
}

static int32_t destroy(mamlx_instance *instance, mamlx_error *error) {
  (void)error;
  free(instance);
  return MAMLX_OK;
}

static int32_t describe(mamlx_instance *instance, char *out, size_t capacity, size_t *length, mamlx_error *error) {
  static const char *const form =
      "{\"x\": [{\"name\": \"x\", \"unit\": \"\", \"low\": -1, \"high\": 1}],"
      " \"y\": [{\"name\": \"y\", \"unit\": \"\", \"low\": %.9g, \"high\": %.9g}],"
      " \"task\": [{\"name\": \"slope\", \"unit\": \"\", \"low\": %.9g, \"high\": %.9g},"
      " {\"name\": \"offset\", \"unit\": \"\", \"low\": -1, \"high\": 1}]}";
  double steepest = instance->steepest;
  int needed = snprintf(NULL, 0, form, -steepest - 1, steepest + 1, -steepest, steepest);
  *length = (size_t)needed;
  if (*length >= capacity) return fail(error, MAMLX_TOO_SMALL, "the description is longer");
  snprintf(out, capacity, form, -steepest - 1, steepest + 1, -steepest, steepest);
  return MAMLX_OK;
}

static int32_t sample_task(mamlx_instance *instance, uint64_t seed, float *task, mamlx_error *error) {
  (void)error;
  task[0] = uniform(seed, 0, -instance->steepest, instance->steepest);
  task[1] = uniform(seed, 1, -1.0f, 1.0f);
  return MAMLX_OK;
}

static int32_t sample(mamlx_instance *instance, const float *task, uint64_t seed, uint32_t n, float *x, float *y,
                      mamlx_error *error) {
  (void)instance;
  (void)error;
  for (uint32_t i = 0; i < n; i++) {
    x[i] = uniform(seed, i, -1.0f, 1.0f);
    y[i] = task[0] * x[i] + task[1];
  }
  return MAMLX_OK;
}

static const mamlx_tasks tasks = {sizeof(mamlx_tasks), create, destroy, describe, sample_task, sample};

static const void *get_feature(const char *id) { return strcmp(id, MAMLX_TASKS) == 0 ? &tasks : NULL; }

const mamlx_plugin mamlx_plugin_v1 = {sizeof(mamlx_plugin), MAMLX_ABI_MAJOR, MAMLX_ABI_MINOR, descriptor, get_feature};
