/*
 * Text as an inline regexp, pcre and cidr table: the first line is the key. Repetitions
 * like a{9999} are left out: they cost the C library's compiler much time and memory, and
 * only the administrator writes patterns.
 */
#include <stdint.h>

#include "base/log.h"
#include "table/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(const char *type, struct str rules, struct str key)
{
	CLEANUP(buf_free) struct buf name = BUF_INIT(5000);
	CLEANUP(buf_free) struct buf value = BUF_INIT(10000);
	struct str line;
	buf_printf(&name, "%s:{", type);
	while (str_next(&rules, "\n", &line))
		if (str_find_any(line, "{}+*") < 0)
			buf_printf(&name, "{%.*s}", STR_ARG(line));
	buf_add_char(&name, '}');
	struct table *t = table_open(buf_str(&name), TABLE_KEY_IS_LINE);
	(void)!table_lookup(t, key, &value);
	table_close(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	(void)!log_open(LOG_SINK_MEMORY, "fuzz", NULL);
	log_memory_clear();
	struct str rules = {(const char *)data, size < 2000 ? size : 2000};
	struct str key;
	if (!str_next(&rules, "\n", &key))
		return 0;
	ask("regexp", rules, key);
	ask("pcre", rules, key);
	ask("cidr", rules, key);
	return 0;
}
