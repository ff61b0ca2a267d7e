package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
)

// scripts ask the program itself what can follow the words that are typed, so that they never differ from
// it. %[1]s is the program, %[2]s a name for a function. bash takes --flag=value for three words.
var scripts = map[string]string{
	"bash": `# bash completion of %[1]s
%[2]s() {
  local IFS=$'\n' lines
  lines=$(%[1]s completion next -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | cut -f 1)
  if [[ $lines == :files* ]]; then lines=${lines#:files}; else compopt +o default 2>/dev/null; fi
  COMPREPLY=($lines)
}
complete -o default -F %[2]s %[1]s
`,
	"zsh": `#compdef %[1]s
%[2]s() {
  local -a lines
  lines=("${(@f)$(%[1]s completion next -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ $lines[1] == :files ]]; then _files; shift lines; fi
  lines=("${(@)lines//:/\\:}")
  lines=("${(@)lines/$'\t'/:}")
  [[ -n "$lines" ]] && _describe %[1]s lines
}
compdef %[2]s %[1]s
`,
	"fish": `# fish completion of %[1]s
function %[2]s
  set -l words (commandline -opc) (commandline -ct)
  set -l lines (%[1]s completion next -- $words[2..] 2>/dev/null)
  if test "$lines[1]" = :files
    __fish_complete_path $words[-1]
    set -e lines[1]
  end
  printf '%%s\n' $lines
end
complete -c %[1]s -f -a '(%[2]s)'
`,
}

// completion is the command that every program has. "next" is for the scripts alone.
func (p Program) completion() Command {
	return Command{
		Name: "completion", Summary: "print the completion for a shell", Operands: "bash|zsh|fish",
		About: fmt.Sprintf(`To have it in every shell:

  bash:  echo 'source <(%[1]s completion bash)' >> ~/.bashrc
  zsh:   echo 'source <(%[1]s completion zsh)' >> ~/.zshrc, behind compinit
  fish:  %[1]s completion fish > ~/.config/fish/completions/%[1]s.fish`, p.Name),
		Examples: []string{p.Name + " completion bash"},
		Setup: func(*flag.FlagSet) func(context.Context, []string, Streams) error {
			return func(_ context.Context, operands []string, s Streams) error {
				var text string
				switch {
				case len(operands) > 1 && operands[0] == "next":
					p.Commands = append(slices.Clip(p.Commands), p.completion())
					text = p.next(operands[1:])
				case len(operands) == 1 && scripts[operands[0]] != "":
					text = fmt.Sprintf(scripts[operands[0]], p.Name, "_"+strings.ReplaceAll(p.Name, "-", "_"))
				default:
					return UsageError{errors.New("it takes one of bash, zsh, fish")}
				}
				_, err := io.WriteString(s.Out, text)
				return err
			}
		},
	}
}

// next gives what can stand in the place of the last word, a line each with what it is behind a tab. The
// first line is :files where files can stand there too.
func (p Program) next(words []string) string {
	typed := slices.DeleteFunc(slices.Clone(words[:len(words)-1]), func(w string) bool { return w == "=" })
	begun := words[len(words)-1]
	if begun == "=" {
		begun = ""
	}
	files, lines := false, []string(nil)
	offer := func(word, about string) {
		about, _, _ = strings.Cut(about, "\n")
		if line := word + "\t" + about; strings.HasPrefix(word, begun) && !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	c, rest, found := p.find(typed)
	switch {
	case found:
		files = c.next(rest, begun, offer)
	case len(typed) == 0 || p.group(typed) != "" && len(typed) == 1:
		prefix := strings.Join(append(slices.Clip(typed), ""), " ")
		for _, c := range p.Commands {
			if name, found := strings.CutPrefix(c.Name, prefix); found {
				word, _, more := strings.Cut(name, " ")
				if more {
					c.Summary = word + " ..."
				}
				offer(word, c.Summary)
			}
		}
	}
	if files {
		lines = append([]string{":files"}, lines...)
	}
	return strings.Join(append(lines, ""), "\n")
}

// next offers what can follow the arguments of a command, and tells whether files can.
func (c Command) next(args []string, begun string, offer func(word, about string)) (files bool) {
	flags := newFlags()
	c.Setup(flags)
	value := func(name, prefix string) bool {
		if f := flags.Lookup(name); f != nil {
			takes, words := takes(f)
			for _, w := range words {
				offer(prefix+w, "")
			}
			files = strings.Contains(takes, "FILE")
			return takes != ""
		}
		return false
	}
	if name, _, assigned := strings.Cut(begun, "="); assigned && strings.HasPrefix(name, "-") {
		value(strings.TrimLeft(name, "-"), name+"=")
		return false // no shell here completes a file behind --flag=
	}
	if len(args) > 0 && strings.HasPrefix(args[len(args)-1], "-") && value(strings.TrimLeft(args[len(args)-1], "-"), "") {
		return files
	}
	if strings.HasPrefix(begun, "-") || c.Operands == "" {
		flags.VisitAll(func(f *flag.Flag) {
			_, usage := flag.UnquoteUsage(f)
			offer("--"+f.Name, usage)
		})
		return false
	}
	if strings.Contains(c.Operands, "|") {
		for _, w := range strings.Split(c.Operands, "|") {
			offer(w, "")
		}
	}
	return strings.Contains(c.Operands, "FILE")
}
