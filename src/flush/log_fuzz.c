/* Whatever stands in a log of waiting mail: only ids come out. */
#include <stdint.h>

#include "base/log.h"
#include "base/panic.h"
#include "flush/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = {(const char *)data, size};
	struct str id;
	(void)!log_open(LOG_SINK_MEMORY, "fuzz", NULL);
	log_memory_clear();
	while (flush_log_next(&rest, "flush/x", &id))
		ENSURE(queue_id_valid(id));
	return 0;
}
