/*
 * A complete mamlx environment in C: a damped pendulum that is to be held at the task's angle.
 *
 *   cc -shared -fPIC -O2 -I ../../include swing.c -o libswing.so -lm
 *   mamlx plugin check swing --plugin-path .
 */
#include "mamlx_plugin.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID_LINE "{\"id\": \"swing\", \"version\": \"0.1.0\", \"dynamics_version\": 1, "
#define ABI_LINE "\"abi_major\": 1, \"abi_minor\": 0, \"kind\": \"env\", "
#define DOC_LINE "\"doc\": \"Hold a damped pendulum at the angle that the task says.\", "
#define PARAMETER \
  "\"parameters\": [{\"name\": \"gravity\", \"type\": \"float\", \"default\": 9.81, \"min\": 0, \"max\": 100, " \
  "\"choices\": [], \"unit\": \"m/s^2\", \"doc\": \"Gravity; the pendulum is 1 m long.\"}]}"

MAMLX_DESCRIPTOR static const char descriptor[] = ID_LINE ABI_LINE DOC_LINE PARAMETER;

static const char description[] =
    "{\"observation\": [{\"name\": \"angle\", \"unit\": \"rad\", \"low\": null, \"high\": null},"
    " {\"name\": \"rate\", \"unit\": \"rad/s\", \"low\": null, \"high\": null}],"
    " \"action\": [{\"name\": \"torque\", \"unit\": \"N m\", \"low\": -5, \"high\": 5}],"
    " \"task\": [{\"name\": \"goal\", \"unit\": \"rad\", \"low\": -1, \"high\": 1}]}";

typedef struct {
  float angle_rad, rate, goal_rad;
  int running;
} slot_state;

struct mamlx_instance {
  float gravity;
  uint32_t n_slots;
  slot_state slots[]; /* n_slots */
};

/* Tells the host why, and which entry of the batch. */
static int32_t fail(mamlx_error *error, int32_t status, uint32_t position, const char *why) {
  error->position = position;
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

static int32_t create(const char *params, uint32_t n_slots, mamlx_instance **out, mamlx_error *error) {
  /* The host sends every parameter and nothing else, so one number needs no JSON library. */
  const char *at = strstr(params, "\"gravity\":");
  if (at == NULL) return fail(error, MAMLX_FAILED, UINT32_MAX, "the parameters lack gravity");
  mamlx_instance *made = calloc(1, sizeof *made + n_slots * sizeof(slot_state));
  if (made == NULL) return fail(error, MAMLX_FAILED, UINT32_MAX, "out of memory");
  made->gravity = (float)atof(at + strlen("\"gravity\":"));
  made->n_slots = n_slots;
  *out = made;
  return MAMLX_OK;
}

static int32_t destroy(mamlx_instance *instance, mamlx_error *error) {
  (void)error;
  free(instance);
  return MAMLX_OK;
}

static int32_t describe(mamlx_instance *instance, char *out, size_t capacity, size_t *length, mamlx_error *error) {
  (void)instance;
  *length = strlen(description);
  if (*length >= capacity) return fail(error, MAMLX_TOO_SMALL, UINT32_MAX, "the description is longer");
  memcpy(out, description, *length + 1);
  return MAMLX_OK;
}

static int32_t sample_task(mamlx_instance *instance, uint64_t seed, float *task, mamlx_error *error) {
  (void)instance;
  (void)error;
  task[0] = uniform(seed, 0, -1.0f, 1.0f);
  return MAMLX_OK;
}

static int32_t reset(mamlx_instance *instance, const uint32_t *slots, uint32_t count, const uint64_t *seeds,
                     const float *tasks, float *obs, mamlx_error *error) {
  for (uint32_t i = 0; i < count; i++) {
    if (slots[i] >= instance->n_slots) return fail(error, MAMLX_BAD_CALL, i, "there is no such slot");
    slot_state *s = &instance->slots[slots[i]];
    s->angle_rad = obs[2 * i] = uniform(seeds[i], 0, -0.1f, 0.1f);
    s->rate = obs[2 * i + 1] = uniform(seeds[i], 1, -0.1f, 0.1f);
    s->goal_rad = tasks[i];
    s->running = 1;
  }
  return MAMLX_OK;
}

static int32_t step(mamlx_instance *instance, const uint32_t *slots, uint32_t count, const float *actions, float *obs,
                    float *rewards, uint8_t *terminated, mamlx_error *error) {
  const float dt_secs = 0.05f, damping = 0.2f;
  for (uint32_t i = 0; i < count; i++) {
    if (slots[i] >= instance->n_slots) return fail(error, MAMLX_BAD_CALL, i, "there is no such slot");
    slot_state *s = &instance->slots[slots[i]];
    if (!s->running) return fail(error, MAMLX_BAD_CALL, i, "the slot needs a reset first");
    if (!isfinite(actions[i])) return fail(error, MAMLX_BAD_CALL, i, "the torque is not a finite number");
    s->rate += dt_secs * (actions[i] - damping * s->rate - instance->gravity * sinf(s->angle_rad));
    s->angle_rad += dt_secs * s->rate;
    obs[2 * i] = s->angle_rad;
    obs[2 * i + 1] = s->rate;
    rewards[i] = -fabsf(s->angle_rad - s->goal_rad);
    /* Gone over the top: the episode is over. */
    terminated[i] = fabsf(s->angle_rad) > 3.14159265f;
    s->running = !terminated[i];
  }
  return MAMLX_OK;
}

static const mamlx_env env = {sizeof(mamlx_env), create, destroy, describe, sample_task, reset, step};

static const void *get_feature(const char *id) { return strcmp(id, MAMLX_ENV) == 0 ? &env : NULL; }

const mamlx_plugin mamlx_plugin_v1 = {sizeof(mamlx_plugin), MAMLX_ABI_MAJOR, MAMLX_ABI_MINOR, descriptor, get_feature};
