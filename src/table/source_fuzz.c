/* Text as the source of a map and of an alias file. */
#include <stdint.h>

#include "base/log.h"
#include "base/panic.h"
#include "table/source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool entry(UNUSED void *context, struct str key, struct str value, unsigned line)
{
	ENSURE(key.len > 0 && value.len > 0 && line > 0);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	(void)!log_open(LOG_SINK_MEMORY, "fuzz", NULL);
	log_memory_clear();
	struct str text = {(const char *)data, size};
	struct table_source source = {.path = "fuzz", .fold = true};
	ENSURE(table_source_parse(&source, text, entry, NULL));
	source.format = SOURCE_ALIASES;
	ENSURE(table_source_parse(&source, text, entry, NULL));
	return 0;
}
