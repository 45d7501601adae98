/* Noisy copies of random 8 x 8 pictures, one picture a class. Read your own files instead. */
#include "mamlx_plugin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIDE 8
#define ITEMS 20
#define ID_LINE "{\"id\": \"NAME\", \"version\": \"0.1.0\", \"dynamics_version\": 1, "
#define ABI_LINE "\"abi_major\": 1, \"abi_minor\": 0, \"kind\": \"data\", "
#define DOC_LINE "\"doc\": \"Noisy copies of random pictures, one picture a class.\", "
#define PARAMETER \
  "\"parameters\": [{\"name\": \"noise\", \"type\": \"float\", \"default\": 0.05, \"min\": 0, \"max\": 0.5, " \
  "\"choices\": [], \"unit\": \"\", \"doc\": \"Probability that a pixel is flipped.\"}]}"

MAMLX_DESCRIPTOR static const char descriptor[] = ID_LINE ABI_LINE DOC_LINE PARAMETER;

struct mamlx_instance {
  float noise;
};

/* No class is in two splits. */
static const struct {
  const char *name;
  uint32_t first, end;
} splits[] = {{"train", 0, 30}, {"val", 30, 40}, {"test", 40, 50}};
#define SPLITS (sizeof splits / sizeof splits[0])

/* Tells the host why, and which entry of the batch. */
static int32_t fail(mamlx_error *error, int32_t status, uint32_t position, const char *why) {
  error->position = position;
  snprintf(error->message, error->capacity, "%s", why);
  return status;
}

/* The k-th number of a seed in [0, 1): SplitMix64 (Steele, Lea and Flood 2014). */
static float uniform(uint64_t seed, uint64_t k) {
  uint64_t z = seed + (k + 1) * 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  z = z ^ (z >> 31);
  return (float)(z >> 40) / 16777216.0f;
}

static int32_t create(const char *params, mamlx_instance **out, mamlx_error *error) {
  /* The host sends every parameter and nothing else, so one number needs no JSON library. */
  const char *at = strstr(params, "\"noise\":");
  if (at == NULL) return fail(error, MAMLX_FAILED, UINT32_MAX, "the parameters lack noise");
  mamlx_instance *made = calloc(1, sizeof *made);
  if (made == NULL) return fail(error, MAMLX_FAILED, UINT32_MAX, "out of memory");
  made->noise = (float)atof(at + strlen("\"noise\":"));
  *out = made;
  return MAMLX_OK;
}

static int32_t destroy(mamlx_instance *instance, mamlx_error *error) {
  (void)error;
  free(instance);
  return MAMLX_OK;
}

/* Appends to the text as far as it fits, and counts its bytes either way. */
static void add(char *out, size_t capacity, size_t *length, const char *text) {
  size_t more = strlen(text);
  if (*length + more < capacity) memcpy(out + *length, text, more + 1);
  *length += more;
}

static void write_description(char *out, size_t capacity, size_t *length) {
  char class_text[64];
  *length = 0;
  snprintf(class_text, sizeof class_text, "{\"item_shape\": [%d, %d], \"splits\": [", SIDE, SIDE);
  add(out, capacity, length, class_text);
  for (size_t s = 0; s < SPLITS; s++) {
    add(out, capacity, length, s == 0 ? "{\"name\": \"" : ", {\"name\": \"");
    add(out, capacity, length, splits[s].name);
    add(out, capacity, length, "\", \"classes\": [");
    for (uint32_t c = splits[s].first; c < splits[s].end; c++) {
      const char *comma = c == splits[s].first ? "" : ", ";
      snprintf(class_text, sizeof class_text, "%s{\"name\": \"picture_%u\", \"items\": %d}", comma, (unsigned)c, ITEMS);
      add(out, capacity, length, class_text);
    }
    add(out, capacity, length, "]}");
  }
  add(out, capacity, length, "]}");
}

static int32_t describe(mamlx_instance *instance, char *out, size_t capacity, size_t *length, mamlx_error *error) {
  (void)instance;
  write_description(NULL, 0, length);
  if (*length >= capacity) return fail(error, MAMLX_TOO_SMALL, UINT32_MAX, "the description is longer");
  write_description(out, capacity, length);
  return MAMLX_OK;
}

static int32_t read_items(mamlx_instance *instance, uint32_t split, uint32_t class_, const uint32_t *items,
                          uint32_t count, float *out, mamlx_error *error) {
  if (split >= SPLITS || class_ >= splits[split].end - splits[split].first) {
    return fail(error, MAMLX_BAD_CALL, UINT32_MAX, "there is no such class");
  }
  uint64_t picture = splits[split].first + class_;
  for (uint32_t i = 0; i < count; i++) {
    if (items[i] >= ITEMS) return fail(error, MAMLX_BAD_CALL, i, "there is no such item");
    uint64_t copy = (picture << 32) + 1 + items[i];
    for (uint64_t p = 0; p < SIDE * SIDE; p++) {
      int dark = uniform(picture, p) < 0.35f, flipped = uniform(copy, p) < instance->noise;
      out[(size_t)i * SIDE * SIDE + p] = dark != flipped ? 1.0f : 0.0f;
    }
  }
  return MAMLX_OK;
}

static const mamlx_data data = {sizeof(mamlx_data), create, destroy, describe, read_items, 0};

static const void *get_feature(const char *id) { return strcmp(id, MAMLX_DATA) == 0 ? &data : NULL; }

const mamlx_plugin mamlx_plugin_v1 = {sizeof(mamlx_plugin), MAMLX_ABI_MAJOR, MAMLX_ABI_MINOR, descriptor, get_feature};
