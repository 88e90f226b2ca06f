/* Records as a hostile user would hand them to postdrop. */
#include <stdint.h>

#include "base/panic.h"
#include "queue/maildrop.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = {(const char *)data, size}, value;
	struct maildrop_check c = {.phase = MAILDROP_ENVELOPE};
	const char *reason = NULL;
	int type;
	while (record_read(&in, &type, &value) == 1) {
		enum maildrop_phase before = c.phase;
		if (!maildrop_check_record(&c, type, value, &reason)) {
			ENSURE(reason != NULL);
			break;
		}
		ENSURE(c.phase >= before && before != MAILDROP_DONE);
		if (before != MAILDROP_CONTENT)
			ENSURE(str_find(value, '\n') < 0 && str_find(value, '\0') < 0);
	}
	return 0;
}
