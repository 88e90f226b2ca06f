/* Arguments of XCLIENT (first byte even) and XFORWARD: what is taken is clean and within
 * its limit, and is taken again as it is. */
#include <stdint.h>
#include <string.h>

#include "base/panic.h"
#include "smtp_wire/client_attribute.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct client_attributes *values)
{
	for (unsigned i = 0; i < CLIENT_ATTRIBUTES; i++) {
		struct str value = client_attribute_value(values, i);
		ENSURE(value.len <= CLIENT_ATTRIBUTE_MAX);
		ENSURE(!str_has_control(value) && str_is_utf8(value));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1 || size > 65536)
		return 0;
	const struct client_attribute_set *set =
	    data[0] % 2 == 0 ? &client_attribute_xclient : &client_attribute_xforward;
	struct str in = {(const char *)data + 1, size - 1};
	struct client_attributes values = {.said = 0}, again = {.said = 0};
	CLEANUP(buf_free) struct buf error = BUF_INIT(200000);
	bool good = client_attribute_read(set, data[0] % 4 < 2, in, &values, &error);
	ENSURE(good == (error.len == 0));
	check(&values);
	buf_clear(&error);
	ENSURE(client_attribute_read(set, data[0] % 4 < 2, in, &again, &error) == good);
	ENSURE(memcmp(&values, &again, sizeof(values)) == 0);
	return 0;
}
