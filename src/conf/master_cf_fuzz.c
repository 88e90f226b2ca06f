#include <stdint.h>

#include "base/panic.h"
#include "conf/master_cf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(arena_free_cleanup) struct arena *arena = arena_new(1 << 20);
	CLEANUP(buf_free) struct buf error = BUF_INIT(1000);
	struct master_cf cf;
	if (!master_cf_parse(
		(struct str){(const char *)data, size}, "fuzz", arena, &cf, &error)) {
		ENSURE(error.len > 0);
		return 0;
	}
	for (size_t i = 0; i < cf.count; i++) {
		const struct master_row *row = &cf.rows[i];
		ENSURE(row->arguments[row->argument_count] == NULL);
		ENSURE(master_cf_find(&cf, str_of(row->name), str_of(row->type_name)) ==
		    row);
	}
	return 0;
}
