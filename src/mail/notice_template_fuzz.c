/* A file of templates, and what its texts become: whatever stands, can be printed, and
 * what was printed is read as the same. */
#include <stddef.h>
#include <stdint.h>
#include "base/panic.h"
#include "mail/notice_template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expand(const struct notice_templates *t)
{
	CLEANUP(buf_free) struct buf error = BUF_INIT(NOTICE_TEMPLATE_FILE_MAX);
	struct conf *conf = conf_load(NULL, &error);
	for (size_t i = 0; conf != NULL && i < NOTICE_TEMPLATE_COUNT; i++) {
		CLEANUP(buf_free) struct buf out = BUF_INIT(NOTICE_TEMPLATE_FILE_MAX);
		if (!notice_template_expand(&t->of[i], conf, NULL, &out, &error))
			ENSURE(error.len > 0);
	}
	conf_free(conf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(buf_free) struct buf error = BUF_INIT(NOTICE_TEMPLATE_FILE_MAX);
	struct notice_templates t;
	if (!notice_templates_parse(
		&t, "fuzz", (struct str){(const char *)data, size}, NULL, &error)) {
		ENSURE(error.len > 0);
		return 0;
	}
	for (size_t i = 0; i < NOTICE_TEMPLATE_COUNT; i++) {
		ENSURE(t.of[i].text.len > 0 && t.of[i].subject.len > 0);
		ENSURE(t.of[i].from.len > 0 && t.of[i].charset.len > 0);
	}
	CLEANUP(buf_free) struct buf out = BUF_INIT(NOTICE_TEMPLATE_FILE_MAX * 8);
	notice_templates_print(&t, &out);
	expand(&t);
	return 0;
}
