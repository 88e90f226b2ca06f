/* Whatever stands in a cache file, or comes as a request: read to the letter or refused.
 */
#include <stdint.h>

#include "base/panic.h"
#include "ipc/message_check.h"
#include "verify/entry.h"

IPC_MESSAGE_CHECK(verify_query)
IPC_MESSAGE_CHECK(verify_update)
IPC_MESSAGE_CHECK(verify_reply)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_value(struct str value)
{
	struct entry e, again;
	CLEANUP(buf_free) struct buf out = BUF_INIT(ENTRY_VALUE_MAX);
	if (!entry_parse(value, &e))
		return;
	entry_write(&out, &e);
	ENSURE(buf_ok(&out) && entry_parse(buf_str(&out), &again));
	ENSURE(e.status == again.status && e.probed == again.probed &&
	    e.updated == again.updated && str_equal(e.text, again.text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str bytes = {(const char *)data, size};
	check_value(bytes);
	(void)verify_query_check(bytes);
	(void)verify_update_check(bytes);
	(void)verify_reply_check(bytes);
	return 0;
}
