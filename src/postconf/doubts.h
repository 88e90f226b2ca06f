/*
 * What looks like a mistake in main.cf and master.cf: names that are set but nobody reads
 * ("unused parameter"), and names in a $name that nobody set ("undefined parameter").
 */
#ifndef POSTCONF_DOUBTS_H
#define POSTCONF_DOUBTS_H

#include "conf/conf.h"
#include "conf/master_cf.h"
#include "postconf/names.h"

struct doubts {
	struct conf *conf;
	const struct master_cf *rows;
	const struct names *names;
	const struct references *references;
};

void doubts_undefined(const struct doubts *d);
void doubts_unused_in_main_cf(const struct doubts *d);
void doubts_unused_in_master_cf(const struct doubts *d);

#endif
