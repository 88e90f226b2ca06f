/* What a table of header checks may say: an action with a text of the right kind. */
#include <stddef.h>
#include <stdint.h>
#include "base/panic.h"
#include "mail/content_checks.h"
#include "mail/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct str value, unsigned allowed, bool header)
{
	struct content_action action =
	    content_action_parse(value, allowed, header, "fuzz_checks");
	ENSURE(action.kind == CONTENT_DUNNO || (allowed & 1u << action.kind) != 0);
	ENSURE(action.text.len <= value.len);
	if (action.kind == CONTENT_REDIRECT || action.kind == CONTENT_BCC)
		ENSURE(str_find(action.text, '@') > 0);
	if (action.kind == CONTENT_FILTER)
		ENSURE(str_find(action.text, ':') > 0);
	if (header && action.kind == CONTENT_PREPEND)
		ENSURE(header_name_length(action.text) > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str value = {(const char *)data, size};
	check(value, CONTENT_ALL, true);
	check(value, CONTENT_ALL, false);
	check(value, CONTENT_OUTPUT, true);
	return 0;
}
