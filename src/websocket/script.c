/*
 * From text to steps. All that can be wrong with a script is found here, before the first
 * connection: names that no step captures, files that are not there, expressions that do not
 * compile.
 */
#include "websocket/script.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/printable.h"
#include "base/units.h"
#include "base/utf8.h"
#include "websocket/script_step.h"
#include "websocket/span.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>

#define WORD_SIZE_MAX 32

struct parser {
	struct script *script;
	int dir_fd;
	struct script_step step; /* that is being made */
	struct script_error *error;
};

__attribute__((format(printf, 2, 3))) static int complain(struct parser *parser, const char *format,
							  ...)
{
	char text[SCRIPT_TEXT_SIZE];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	parser->error->line = parser->step.line;
	printable_copy(parser->error->text, sizeof(parser->error->text), text, strlen(text));
	return -EINVAL;
}

/* Takes the quotes off, and sees that the second is the last of the line. */
static int unquote(struct parser *parser, struct span *text)
{
	size_t end = 1;

	while (end < text->size && text->text[end] != '"')
		end += text->text[end] == '\\' ? 2 : 1;
	if (end >= text->size)
		return complain(parser, "a \" is missing at the end of the line");
	if (end + 1 < text->size)
		return complain(parser, "something follows the second \"; inside, write \\\"");
	*text = (struct span){text->text + 1, end - 1};
	return 0;
}

static int make_template(struct parser *parser, struct span text, bool quoted)
{
	const struct template_source source = {
		.text = text.text,
		.size = text.size,
		.quoted = quoted,
		.dir_fd = parser->dir_fd,
		.names = &parser->script->names,
	};
	char why[TEMPLATE_ERROR_SIZE];
	int r = template_parse(&source, &parser->step.text, why);

	return r == -EINVAL ? complain(parser, "%s", why) : r;
}

static int make_from_file(struct parser *parser, struct span name)
{
	CLEANUP_FREE char *path = strndup(name.text, name.size);
	CLEANUP_FREE char *data = malloc(SCRIPT_MESSAGE_MAX + 1);
	ssize_t n;

	if (!path || !data)
		return -ENOMEM;
	n = io_read_file(parser->dir_fd, path, data, SCRIPT_MESSAGE_MAX + 1);
	if (n < 0)
		return complain(parser, "cannot read the file %.200s: %s", path, strerror((int)-n));
	if (n > (ssize_t)SCRIPT_MESSAGE_MAX)
		return complain(parser, "the file %.200s is larger than 1 MiB", path);
	return template_from_bytes(data, (size_t)n, &parser->step.text);
}

/* What all ways to say a message have in common. */
static int check_message(struct parser *parser)
{
	const struct buffer *fixed = &parser->step.text.fixed;

	if (parser->step.message == MESSAGE_TEXT && template_is_fixed(&parser->step.text) &&
	    !utf8_is_valid(fixed->data, fixed->size))
		return complain(parser,
				"the message is not UTF-8, so it can only be sent by send-binary");
	return 0;
}

static int parse_message(struct parser *parser, struct span rest)
{
	int r = 0;

	parser->step.kind = STEP_SEND;
	if (rest.size == 0)
		return complain(parser, "there is nothing to send; for an empty message, write "
					"\"\"");
	if (rest.text[0] == '@') {
		r = make_from_file(parser, (struct span){rest.text + 1, rest.size - 1});
	} else {
		bool quoted = rest.text[0] == '"';

		if (quoted)
			r = unquote(parser, &rest);
		if (r == 0)
			r = make_template(parser, rest, quoted);
	}
	return r < 0 ? r : check_message(parser);
}

static int parse_send(struct parser *parser, struct span rest)
{
	parser->step.message = MESSAGE_TEXT;
	return parse_message(parser, rest);
}

static int parse_send_binary(struct parser *parser, struct span rest)
{
	parser->step.message = MESSAGE_BINARY;
	return parse_message(parser, rest);
}

static int parse_time(struct parser *parser, struct span *rest)
{
	struct span word = span_take_word(rest);
	char text[WORD_SIZE_MAX + 1] = "";

	memcpy(text, word.text, MIN(word.size, sizeof(text) - 1));
	if (word.size > WORD_SIZE_MAX || units_parse_time(text, &parser->step.time_ns) < 0)
		return complain(parser,
				"a time has to stand here, such as 10s or 500ms, and not "
				"\"%s\"",
				text);
	if (parser->step.time_ns == 0 || parser->step.time_ns > SCRIPT_TIME_MAX_S * NS_PER_S)
		return complain(parser, "a time of 0, or of more than a day, makes no sense here");
	return 0;
}

static int add_names(struct parser *parser)
{
	struct names *names = &parser->script->names;

	for (size_t i = 0; i < pattern_group_count(parser->step.pattern); i++) {
		const char *name = pattern_group_name(parser->step.pattern, i);

		if (strlen(name) >= NAME_SIZE)
			return complain(parser, "the name of a group has 32 characters at most");
		if (names_find(names, name, strlen(name)) >= 0)
			continue;
		if (names->count == NAMES_MAX)
			return complain(parser, "a script can capture 64 values and no more");
		snprintf(names->name[names->count++], NAME_SIZE, "%s", name);
	}
	return 0;
}

static int parse_pattern(struct parser *parser, struct span rest)
{
	char why[PATTERN_ERROR_SIZE];
	int r;

	if (rest.size < 2 || rest.text[rest.size - 1] != '/')
		return complain(parser, "a / is missing at the end of the regular expression, "
					"which is the end of the line");
	r = pattern_new(rest.text + 1, rest.size - 2, &parser->step.pattern, why);
	if (r == -EINVAL)
		return complain(parser, "the regular expression is wrong: %s", why);
	return r < 0 ? r : add_names(parser);
}

static int parse_expect(struct parser *parser, struct span rest)
{
	int r = parse_time(parser, &rest);

	if (r < 0)
		return r;
	parser->step.kind = STEP_EXPECT;
	printable_copy(parser->step.shown, sizeof(parser->step.shown), rest.text, rest.size);
	if (rest.size > 0 && rest.text[0] == '/')
		return parse_pattern(parser, rest);
	if (rest.size == 0 || rest.text[0] != '"')
		return complain(parser, "what is expected has to stand here, as \"text\" or "
					"/regular expression/");
	r = unquote(parser, &rest);
	return r < 0 ? r : make_template(parser, rest, true);
}

static int parse_wait(struct parser *parser, struct span rest)
{
	int r = parse_time(parser, &rest);

	parser->step.kind = STEP_WAIT;
	if (r == 0 && rest.size > 0)
		return complain(parser, "something follows the time");
	return r;
}

static void step_done(struct script_step *step)
{
	template_done(&step->text);
	pattern_free(step->pattern);
	*step = (struct script_step){0};
}

static int keep_step(struct parser *parser)
{
	struct script *script = parser->script;
	struct script_step *steps;

	if (script->step_count == SCRIPT_STEPS_MAX)
		return complain(parser, "a script can have 1000 steps and no more");
	script->bytes += parser->step.text.fixed.size;
	if (script->bytes > SCRIPT_TEXTS_MAX)
		return complain(parser, "all texts of the script together are larger than 16 MiB");
	steps = reallocarray(script->steps, script->step_count + 1, sizeof(*steps));
	if (!steps)
		return -ENOMEM;
	script->steps = steps;
	steps[script->step_count++] = parser->step;
	parser->step = (struct script_step){.line = parser->step.line};
	return 0;
}

static int parse_line(struct parser *parser, struct span line)
{
	static const struct {
		const char *name;
		int (*parse)(struct parser *parser, struct span rest);
	} verbs[] = {
		{"send", parse_send},
		{"send-binary", parse_send_binary},
		{"expect", parse_expect},
		{"wait", parse_wait},
	};
	struct span rest = span_trim(line), word;
	int r;

	if (rest.size == 0 || rest.text[0] == '#')
		return 0;
	if (!utf8_is_valid(line.text, line.size) || memchr(line.text, '\0', line.size))
		return complain(parser, "the line is no text in UTF-8");
	word = span_take_word(&rest);
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (span_is(word, verbs[i].name)) {
			r = verbs[i].parse(parser, rest);
			return r < 0 ? r : keep_step(parser);
		}
	return complain(parser,
			"there is no step \"%.*s\"; there are send, send-binary, expect and wait",
			(int)MIN(word.size, (size_t)WORD_SIZE_MAX), word.text);
}

static int parse_lines(struct parser *parser, const char *text, size_t size)
{
	const char *end = text + size;
	int r = 0;

	while (r == 0 && text < end) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		struct span line = {text, (size_t)((stop ? stop : end) - text)};

		parser->step.line++;
		r = parse_line(parser, line);
		text = stop ? stop + 1 : end;
	}
	step_done(&parser->step);
	return r;
}

int script_new(struct script **ret_script)
{
	struct script *script = calloc(1, sizeof(*script));

	if (!script)
		return -ENOMEM;
	*ret_script = script;
	return 0;
}

void script_free(struct script *script)
{
	if (!script)
		return;
	for (size_t i = 0; i < script->step_count; i++)
		step_done(&script->steps[i]);
	free(script->steps);
	free(script);
}

int script_add_text(struct script *script, const char *text, size_t size, const char *directory,
		    struct script_error *ret_error)
{
	CLEANUP_FD int dir_fd = -1;
	struct parser parser = {.script = script, .dir_fd = AT_FDCWD, .error = ret_error};

	if (size > SCRIPT_SIZE_MAX)
		return complain(&parser, "the script is larger than 1 MiB");
	if (directory) {
		dir_fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (dir_fd < 0)
			return complain(&parser, "cannot open the directory %.200s: %s", directory,
					strerror(errno));
		parser.dir_fd = dir_fd;
	}
	return parse_lines(&parser, text, size);
}

int script_add_file(struct script *script, const char *path, struct script_error *ret_error)
{
	struct parser parser = {.script = script, .error = ret_error};
	CLEANUP_FREE char *text = malloc(SCRIPT_SIZE_MAX + 1);
	CLEANUP_FREE char *directory = NULL;
	const char *slash = strrchr(path, '/');
	ssize_t n;

	if (slash)
		directory = strndup(path, (size_t)(slash - path) + 1);
	if (!text || (slash && !directory))
		return -ENOMEM;
	n = io_read_file(AT_FDCWD, path, text, SCRIPT_SIZE_MAX + 1);
	if (n < 0)
		return complain(&parser, "cannot read the file %.200s: %s", path,
				strerror((int)-n));
	return script_add_text(script, text, (size_t)n, directory, ret_error);
}

int script_add_send(struct script *script, const char *argument, struct script_error *ret_error)
{
	struct parser parser = {.script = script, .dir_fd = AT_FDCWD, .error = ret_error};
	struct span text = {argument, strlen(argument)};
	int r;

	parser.step = (struct script_step){.kind = STEP_SEND, .message = MESSAGE_TEXT};
	if (argument[0] == '@')
		r = make_from_file(&parser, (struct span){text.text + 1, text.size - 1});
	else
		r = make_template(&parser, text, false);
	if (r == 0)
		r = check_message(&parser);
	if (r == 0)
		r = keep_step(&parser);
	step_done(&parser.step);
	return r;
}

size_t script_step_count(const struct script *script)
{
	return script->step_count;
}

bool script_has_secrets(const struct script *script)
{
	for (size_t i = 0; i < script->step_count; i++)
		if (script->steps[i].text.secret)
			return true;
	return false;
}
