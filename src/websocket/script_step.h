/* What script.c makes and script_run.c walks over. */
#ifndef WEIR_WEBSOCKET_SCRIPT_STEP_H
#define WEIR_WEBSOCKET_SCRIPT_STEP_H

#include "websocket/pattern.h"
#include "websocket/script.h"
#include "websocket/template.h"

#include <stdint.h>

#define SCRIPT_SHOWN_SIZE 100

enum script_step_kind {
	STEP_SEND,
	STEP_EXPECT,
	STEP_WAIT
};

struct script_step {
	enum script_step_kind kind;
	size_t line; /* 0: from script_add_send() */
	enum message_kind message;
	struct template text;	 /* to send, or to expect */
	struct pattern *pattern; /* to expect, in place of a text */
	uint64_t time_ns;
	char shown[SCRIPT_SHOWN_SIZE]; /* what is expected, as it was written, printable */
};

struct script {
	struct names names; /* of the values that its steps capture */
	struct script_step *steps;
	size_t step_count;
	size_t bytes; /* of all texts */
};

#endif
