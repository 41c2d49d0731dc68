// Command msgraphsdk has Microsoft's own Go client meet the simulator: it reads and writes policies,
// follows pages, sends a batch and reads a delta round. It is a module of its own, because the
// client takes minutes to build; run.sh builds and runs it. The first argument is the JSON line
// of simserver.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	abstractions "github.com/microsoft/kiota-abstractions-go"
	azure "github.com/microsoft/kiota-authentication-azure-go"
	khttp "github.com/microsoft/kiota-http-go"
	msgraph "github.com/microsoftgraph/msgraph-sdk-go"
	core "github.com/microsoftgraph/msgraph-sdk-go-core"
	"github.com/microsoftgraph/msgraph-sdk-go/devicemanagement"
	"github.com/microsoftgraph/msgraph-sdk-go/groups"
	"github.com/microsoftgraph/msgraph-sdk-go/models"
	"github.com/microsoftgraph/msgraph-sdk-go/models/odataerrors"
)

type simulator struct {
	URL    string `json:"url"`
	CA     string `json:"ca"`
	Tenant string `json:"tenant"`
	App    string `json:"app"`
	Secret string `json:"secret"`
	Groups int    `json:"groups"`
}

func main() {
	var sim simulator
	if len(os.Args) != 2 || json.Unmarshal([]byte(os.Args[1]), &sim) != nil {
		fmt.Fprintln(os.Stderr, "usage: msgraphsdk JSON, the line that simserver prints")
		os.Exit(2)
	}
	if err := run(context.Background(), sim); err != nil {
		fmt.Fprintln(os.Stderr, "msgraphsdk:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, sim simulator) error {
	client, err := connect(sim)
	if err != nil {
		return err
	}
	failed := 0
	for _, p := range []struct {
		name  string
		prove func(context.Context, *msgraph.GraphServiceClient, simulator) error
	}{
		{"the organization", organization},
		{"a policy: created, read, changed, assigned", policies},
		{"settings catalogue policies by PageIterator, at a URL of the beta version", catalogue},
		{"a batch with a part that fails", batch},
		{"a delta round of groups with members", delta},
	} {
		if err := p.prove(ctx, client, sim); err != nil {
			failed++
			fmt.Printf("FAIL  %s\n      %v\n", p.name, describe(err))
			continue
		}
		fmt.Println("ok   ", p.name)
	}
	if failed > 0 {
		return fmt.Errorf("%d failed", failed)
	}
	return nil
}

// describe returns an error with what Graph said.
func describe(err error) error {
	var oe *odataerrors.ODataError
	if errors.As(err, &oe) && oe.GetErrorEscaped() != nil {
		return fmt.Errorf("%w: %s", err, value(oe.GetErrorEscaped().GetMessage()))
	}
	return err
}

// connect returns a client of the simulator.
func connect(sim simulator) (*msgraph.GraphServiceClient, error) {
	pem, err := os.ReadFile(sim.CA)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", sim.CA)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	cred, err := azidentity.NewClientSecretCredential(sim.Tenant, sim.App, sim.Secret, &azidentity.ClientSecretCredentialOptions{
		ClientOptions: policy.ClientOptions{
			Transport: &http.Client{Transport: transport},
			Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: sim.URL},
		},
		DisableInstanceDiscovery: true,
	})
	if err != nil {
		return nil, err
	}
	auth, err := azure.NewAzureIdentityAuthenticationProviderWithScopesAndValidHosts(cred, []string{"https://graph.microsoft.com/.default"}, []string{"127.0.0.1"})
	if err != nil {
		return nil, err
	}
	options := msgraph.GetDefaultClientOptions()
	hc := core.GetDefaultClient(&options)
	hc.Transport = khttp.NewCustomTransportWithParentTransport(transport, core.GetDefaultMiddlewaresWithOptions(&options)...)
	adapter, err := msgraph.NewGraphRequestAdapterWithParseNodeFactoryAndSerializationWriterFactoryAndHttpClient(auth, nil, nil, hc)
	if err != nil {
		return nil, err
	}
	adapter.SetBaseUrl(sim.URL + "/v1.0")
	return msgraph.NewGraphServiceClient(adapter), nil
}

func organization(ctx context.Context, client *msgraph.GraphServiceClient, sim simulator) error {
	org, err := client.Organization().Get(ctx, nil)
	if err != nil {
		return err
	}
	if list := org.GetValue(); len(list) != 1 || value(list[0].GetId()) != sim.Tenant {
		return fmt.Errorf("%d organizations", len(list))
	}
	return nil
}

func policies(ctx context.Context, client *msgraph.GraphServiceClient, _ simulator) error {
	name, changed := "Conformance (Go)", "Changed by the Go client"
	in := models.NewIosGeneralDeviceConfiguration()
	in.SetDisplayName(&name)
	blocked := true
	in.SetCameraBlocked(&blocked)
	made, err := client.DeviceManagement().DeviceConfigurations().Post(ctx, in, nil)
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	one := client.DeviceManagement().DeviceConfigurations().ByDeviceConfigurationId(value(made.GetId()))
	patch := models.NewIosGeneralDeviceConfiguration()
	patch.SetDescription(&changed)
	if _, err := one.Patch(ctx, patch, nil); err != nil {
		return fmt.Errorf("change: %w", err)
	}
	target := models.NewDeviceConfigurationAssignment()
	target.SetTarget(models.NewAllDevicesAssignmentTarget())
	body := devicemanagement.NewDeviceConfigurationsItemAssignPostRequestBody()
	body.SetAssignments([]models.DeviceConfigurationAssignmentable{target})
	if _, err := one.Assign().PostAsAssignPostResponse(ctx, body, nil); err != nil {
		return fmt.Errorf("assign: %w", err)
	}
	read, err := one.Get(ctx, nil)
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	ios, ok := read.(models.IosGeneralDeviceConfigurationable)
	if !ok || value(read.GetDisplayName()) != name || value(read.GetDescription()) != changed || ios.GetCameraBlocked() == nil || !*ios.GetCameraBlocked() {
		return fmt.Errorf("read back %T %q %q", read, value(read.GetDisplayName()), value(read.GetDescription()))
	}
	assigned, err := one.Assignments().Get(ctx, nil)
	if err != nil {
		return fmt.Errorf("assignments: %w", err)
	}
	if len(assigned.GetValue()) != 1 {
		return fmt.Errorf("%d assignments", len(assigned.GetValue()))
	}
	return nil
}

func catalogue(ctx context.Context, client *msgraph.GraphServiceClient, sim simulator) error {
	url := sim.URL + "/beta/deviceManagement/configurationPolicies?$top=7"
	// The v1.0 client has no such type; it reads the pages as configurations and keeps their ids.
	first, err := client.DeviceManagement().DeviceConfigurations().WithUrl(url).Get(ctx, nil)
	if err != nil {
		return err
	}
	pages, err := core.NewPageIterator[models.DeviceConfigurationable](first, client.GetAdapter(), models.CreateDeviceConfigurationCollectionResponseFromDiscriminatorValue)
	if err != nil {
		return err
	}
	ids := map[string]bool{}
	if err := pages.Iterate(ctx, func(it models.DeviceConfigurationable) bool {
		ids[value(it.GetId())] = true
		return true
	}); err != nil {
		return err
	}
	if len(ids) < 100 {
		return fmt.Errorf("only %d policies", len(ids))
	}
	return nil
}

func batch(ctx context.Context, client *msgraph.GraphServiceClient, _ simulator) error {
	adapter := client.GetAdapter()
	b := core.NewBatchRequest(adapter)
	good, err := client.Organization().ToGetRequestInformation(ctx, nil)
	if err != nil {
		return err
	}
	bad, err := client.Groups().ByGroupId("00000000-0000-4000-8000-000000000000").ToGetRequestInformation(ctx, nil)
	if err != nil {
		return err
	}
	var steps [2]core.BatchItem
	for i, info := range []*abstractions.RequestInformation{good, bad} {
		if steps[i], err = b.AddBatchRequestStep(*info); err != nil {
			return err
		}
	}
	responses, err := b.Send(ctx, adapter)
	if err != nil {
		return err
	}
	org, err := core.GetBatchResponseById[models.OrganizationCollectionResponseable](responses, *steps[0].GetId(), models.CreateOrganizationCollectionResponseFromDiscriminatorValue)
	if err != nil || len(org.GetValue()) != 1 {
		return fmt.Errorf("first part: %w", err)
	}
	if _, err := core.GetBatchResponseById[models.Groupable](responses, *steps[1].GetId(), models.CreateGroupFromDiscriminatorValue); err == nil {
		return errors.New("a group that does not exist was read")
	}
	return nil
}

func delta(ctx context.Context, client *msgraph.GraphServiceClient, sim simulator) error {
	page, err := client.Groups().Delta().GetAsDeltaGetResponse(ctx, &groups.DeltaRequestBuilderGetRequestConfiguration{
		QueryParameters: &groups.DeltaRequestBuilderGetQueryParameters{Select: []string{"displayName", "members"}},
	})
	ids := map[string]bool{}
	for {
		if err != nil {
			return err
		}
		for _, g := range page.GetValue() {
			ids[value(g.GetId())] = true
		}
		if page.GetOdataNextLink() == nil {
			break
		}
		page, err = client.Groups().Delta().WithUrl(*page.GetOdataNextLink()).GetAsDeltaGetResponse(ctx, nil)
	}
	if page.GetOdataDeltaLink() == nil || len(ids) != sim.Groups {
		return fmt.Errorf("%d groups, delta link %v", len(ids), page.GetOdataDeltaLink())
	}
	return nil
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
