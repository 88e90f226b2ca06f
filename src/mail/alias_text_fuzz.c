/* Right-hand sides of aliases, :include: and .forward files, as users write them. */
#include <stddef.h>
#include <stdint.h>
#include "base/panic.h"
#include "mail/address.h"
#include "mail/alias_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool check(void *context, enum alias_kind kind, struct str text)
{
	size_t *count = context;
	++*count;
	ENSURE(str_find(text, '\0') < 0 || kind == ALIAS_TOO_LONG);
	ENSURE(text.len <= (kind == ALIAS_ADDRESS ? ADDRESS_MAX : ALIAS_TEXT_MAX));
	ENSURE(kind != ALIAS_FILE || text.p[0] == '/' || text.p[0] == '~');
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = {(const char *)data, size};
	CLEANUP(buf_free) struct buf tidy = BUF_INIT(size * 4 + 100);
	size_t count = 0;
	ENSURE(alias_text_walk(text, check, &count));
	ENSURE(count <= size);
	count = 0;
	ENSURE(alias_text_walk_file(text, 2048, check, &count));
	ENSURE(count <= size);
	alias_text_tidy(&tidy, text);
	ENSURE(buf_ok(&tidy));
	return 0;
}
