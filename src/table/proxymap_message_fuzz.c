/* Questions to proxymap and its answers: what the reader takes has one encoding. */
#include <stdint.h>

#include "ipc/message_check.h"
#include "table/proxymap_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

IPC_MESSAGE_CHECK(proxymap_request)
IPC_MESSAGE_CHECK(proxymap_reply)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str payload = {(const char *)data, size};
	(void)proxymap_request_check(payload);
	(void)proxymap_reply_check(payload);
	return 0;
}
