/* Whatever comes as a datagram: a line that is taken is clean, and survives a round trip.
 */
#include <stddef.h>
#include <stdint.h>
#include "base/panic.h"
#include "message/postlog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str datagram = {(const char *)data, size};
	struct postlog_line line;
	CLEANUP(buf_free) struct buf again = BUF_INIT(POSTLOG_DATAGRAM_MAX);
	if (!postlog_read(datagram, &line))
		return 0;
	ENSURE(size <= POSTLOG_DATAGRAM_MAX && line.level <= LOG_LEVEL_PANIC);
	ENSURE(!str_has_control(line.tag) && !str_has_control(line.text));
	postlog_line_write(&again, &line);
	ENSURE(buf_ok(&again) && str_equal(buf_str(&again), datagram));
	return 0;
}
