/** `completion`: scripts by which shells ask this program what could stand at the cursor. */
import { type Command, write } from "#cli/flags/command.ts";
import { Fault } from "#spec/fault.ts";

/** Bash replaces only what is behind the last of its word breaks, so that much is cut off again. */
const bash = `# bash completion for wherry: source this file, or put it into /etc/bash_completion.d
_wherry() {
  local line=\${COMP_LINE:0:COMP_POINT} answer directive word cut candidate
  answer=$("\${COMP_WORDS[0]}" __complete-line "$line" 2>/dev/null) || return
  directive=\${answer##*:}
  answer=\${answer%:*}
  word=\${line##*[[:space:]]}
  cut=\${word%"\${word##*[=:]}"}
  COMPREPLY=()
  while IFS=$'\\t' read -r candidate _; do
    [[ -n $candidate ]] && COMPREPLY+=("\${candidate#"$cut"}")
  done <<<"$answer"
  ((directive & 2)) && compopt -o nospace 2>/dev/null
  ((directive & 4)) && compopt +o default +o bashdefault 2>/dev/null
  return 0
}
complete -o default -o bashdefault -F _wherry wherry
`;

const zsh = `#compdef wherry
# zsh completion for wherry: source this file, or put it as _wherry into a directory of $fpath
_wherry() {
  local answer directive line value
  local -a described plain
  answer=$("\${words[1]}" __complete "\${(@)words[2,CURRENT]}" 2>/dev/null) || return
  directive=\${answer##*:}
  for line in "\${(@f)\${answer%:*}}"; do
    [[ -n $line ]] || continue
    value=\${line%%$'\\t'*}
    plain+=("$value")
    if [[ $line == *$'\\t'* ]]; then described+=("\${value//:/\\\\:}:\${line#*$'\\t'}"); else described+=("\${value//:/\\\\:}"); fi
  done
  if ((\${#plain} == 0)); then
    ((directive & 4)) || _files
    return
  fi
  if ((directive & 2)); then _describe -t wherry wherry described plain -S ''; else _describe -t wherry wherry described plain; fi
}
if [[ $funcstack[1] == _wherry ]]; then _wherry "$@"; else compdef _wherry wherry; fi
`;

const fish = `# fish completion for wherry: source this file, or put it into ~/.config/fish/completions
function __wherry_complete
    set -l answer (command wherry __complete-line (commandline -cp) 2>/dev/null)
    or return
    set -l directive (string sub -s 2 -- $answer[-1])
    if test (count $answer) -gt 1
        printf '%s\\n' $answer[1..-2]
    else if test (math "bitand($directive, 4)") -eq 0
        __fish_complete_path (commandline -ct)
    end
end
complete -c wherry -f -a '(__wherry_complete)'
`;

const scripts: Readonly<Record<string, string>> = { bash, zsh, fish };

const completion: Command = {
  usage: "SHELL",
  flags: [],
  least: 1,
  most: 1,
  run: async ({ args: [shell = ""], io }) => {
    const script = scripts[shell];
    if (script === undefined)
      throw new Fault(
        "invalid",
        `no completion for ${JSON.stringify(shell)}: there is one for bash, zsh and fish`,
      );
    await write(io.stdout, script);
    return 0;
  },
};

export const commands: Readonly<Record<string, Command>> = { completion };
