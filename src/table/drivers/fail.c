/* fail:label: every question meets trouble that may pass. For tests, and for postmap. */
#include "base/memory.h"
#include "table/driver.h"

static void *open_fail(
    UNUSED struct str name, UNUSED unsigned flags, UNUSED struct buf *error)
{
	return memory_alloc(1);
}

static enum table_result lookup(UNUSED void *state, UNUSED struct str key,
    UNUSED struct buf *value, struct buf *error)
{
	buf_add_cstr(error, "Application error");
	return TABLE_TRY_LATER;
}

static enum table_result change(
    UNUSED void *state, UNUSED struct str key, UNUSED struct str value, struct buf *error)
{
	return lookup(NULL, STR_EMPTY, NULL, error);
}

static enum table_result forget(
    UNUSED void *state, UNUSED struct str key, struct buf *error)
{
	return lookup(NULL, STR_EMPTY, NULL, error);
}

static enum table_result next(UNUSED void *state, UNUSED bool first,
    UNUSED struct buf *key, UNUSED struct buf *value, struct buf *error)
{
	return lookup(NULL, STR_EMPTY, NULL, error);
}

const struct table_driver table_driver_fail = {
    .type = "fail",
    .fixed = true,
    .open = open_fail,
    .close = free,
    .lookup = lookup,
    .update = change,
    .remove = forget,
    .next = next,
};
