package cli

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// shells are those that there is completion for.
var shells = []string{"bash", "zsh", "fish", "powershell"}

func completionCommand(program string) *cobra.Command {
	return &cobra.Command{
		Use:   "completion " + strings.Join(shells, "|"),
		Short: "print the completion script of a shell",
		Long: fmt.Sprintf(`Print the script that completes commands, flags and their values in a shell. To load it
in every new shell:

  bash        echo 'source <(%[1]s completion bash)' >> ~/.bashrc
  zsh         echo 'source <(%[1]s completion zsh)' >> ~/.zshrc
  fish        %[1]s completion fish > \
                  ~/.config/fish/completions/%[1]s.fish
  PowerShell  %[1]s completion powershell >> $PROFILE

bash needs the package bash-completion. In .zshrc, put the line after compinit.`, program),
		Example:     program + " completion bash",
		Annotations: map[string]string{ExitStatus: Offline},
		ValidArgs:   shells,
		RunE: func(c *cobra.Command, args []string) error {
			root := c.Root()
			if len(args) != 1 {
				args = []string{""}
			}
			var script bytes.Buffer
			var err error
			switch args[0] {
			case "bash":
				err = root.GenBashCompletionV2(&script, true)
			case "zsh":
				err = root.GenZshCompletion(&script)
			case "fish":
				err = root.GenFishCompletion(&script, true)
			case "powershell":
				err = root.GenPowerShellCompletionWithDesc(&script)
			default:
				return UsageError{errors.New("name one shell: " + strings.Join(shells, ", "))}
			}
			if err != nil {
				return err
			}
			_, err = script.WriteTo(c.OutOrStdout())
			return err
		},
	}
}

// completeValues makes every flag's value and every command's operands complete as their usage says.
func completeValues(root *cobra.Command) {
	root.ValidArgsFunction = cobra.NoFileCompletions
	for _, leaf := range Leaves(root) {
		if leaf.ValidArgs == nil && !strings.Contains(leaf.Use, "FILE") && !passesOn(leaf) {
			leaf.ValidArgsFunction = cobra.NoFileCompletions
		}
		leaf.Flags().VisitAll(func(f *pflag.Flag) {
			complete := cobra.NoFileCompletions
			value, _ := pflag.UnquoteUsage(f)
			switch words := f.Value.(type) {
			case choice:
				complete = cobra.FixedCompletions(words.words, cobra.ShellCompDirectiveNoFileComp)
			default:
				if strings.Contains(value, "FILE") {
					return // the shell completes files
				}
				if value == "DIRECTORY" {
					complete = cobra.FixedCompletions(nil, cobra.ShellCompDirectiveFilterDirs)
				}
			}
			if err := leaf.RegisterFlagCompletionFunc(f.Name, complete); err != nil {
				panic(err) // the flag is known: it was just visited
			}
		})
	}
}
